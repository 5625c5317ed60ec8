"""The phases of a linear predictor compiled from C: the same bits as by ONNX Runtime and numpy, several times as fast. Optional."""
