"""Model files: the card that describes one, and the adapter that turns luma into chroma with it."""
