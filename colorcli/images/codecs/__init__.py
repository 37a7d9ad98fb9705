"""Image formats: one file or folder per format, one interface for all."""
