"""Files of a bundle by format: how each is written, read and run."""
