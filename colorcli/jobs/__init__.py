"""Jobs: planned from the inputs, executed in this process or in a pool of worker processes."""
