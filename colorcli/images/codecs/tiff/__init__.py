"""TIFF and BigTIFF: all pages, and all tags that are still valid."""
