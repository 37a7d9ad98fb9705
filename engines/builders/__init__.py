"""Makes the files that engines open: ONNX, int8 ONNX and TensorRT engine files."""
