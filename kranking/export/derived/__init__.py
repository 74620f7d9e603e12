"""Bundles that are made from another bundle: small weights, tables beside the graphs."""
