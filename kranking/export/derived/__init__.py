"""Bundles derived from another bundle: with low-precision weights, or with separate tables."""
