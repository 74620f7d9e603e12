"""The contract of every layer: its cost, the kinds of tensors that it takes and returns, and shapes."""
