"""The inputs and outputs of each signature of a bundle, and seeded rows to check it with."""
