"""Images: one file in, one file out, in color, with everything else unchanged. See `colorize` and
`codecs`."""
