"""JPEG: the source's luma coefficients are kept without loss."""
