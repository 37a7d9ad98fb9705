"""Images: one file in, one file out, in color; see `colorize` and `codecs`."""
