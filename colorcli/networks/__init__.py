"""Network architectures and their checkpoints (PyTorch)."""
