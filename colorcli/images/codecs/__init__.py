"""One module or folder for each format: `base` is the interface, `registry` the list."""
