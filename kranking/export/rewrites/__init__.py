"""Rewriting ONNX graphs: fusion, small weights, and the cut at embedding tables."""
