"""Color math on planes: Y'CbCr, hints, propagation, palette transfer, color detection. NumPy and OpenCV only."""
