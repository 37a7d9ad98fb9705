"""Builders of engine files: ONNX, int8, TensorRT."""
