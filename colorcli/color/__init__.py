"""Color math on NumPy arrays: Y'CbCr, hints, propagation, palette transfer, color detection."""
