"""JPEG: the luma scan of the source is kept byte for byte."""
