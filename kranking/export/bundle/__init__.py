"""The folder of a bundle: its manifest, its atomic replacement, and loading it."""
