"""File formats of a bundle: writing, reading and running each of them."""
