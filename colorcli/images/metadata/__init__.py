"""Exif, XMP and ICC blocks, as every image format embeds them."""
