"""What trained models give besides compression, from their ONNX graphs, without torch."""
