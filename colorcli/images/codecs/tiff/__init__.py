"""TIFF and BigTIFF: all pages, all tags that still hold."""
