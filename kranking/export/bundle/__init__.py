"""The bundle as a folder: its manifest, its atomic replacement, and loading it."""
