"""Models in other formats: the published checkpoints, and ONNX."""
