"""Networks, data, losses, the loop, metrics."""
