"""Rewriting of ONNX graphs: fusion, low-precision weights, and splitting at embedding tables."""
