"""What a model is: manifest, graphs, their proof of exactness, and fitting in closed form. No ONNX Runtime in here."""
