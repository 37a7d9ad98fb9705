"""Video: every frame, every stream, steady color."""
