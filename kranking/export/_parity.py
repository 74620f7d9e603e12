"""How near an artefact has to be to the model that it was made of."""

PARITY = "parity"  # the name of the check

# The largest difference of a probability (product-wide definition of parity).
TOLERANCE = 1e-5
