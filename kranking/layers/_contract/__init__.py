"""What every layer states of itself: its cost, the kinds of tensors it takes, and shapes."""
