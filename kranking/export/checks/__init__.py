"""The expected answers of artefacts, and the checks against them."""
