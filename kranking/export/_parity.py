"""The largest allowed difference between an artefact and its model."""

PARITY = "parity"  # the name of the check

# Largest allowed difference of a probability (the definition of parity everywhere in kranking).
TOLERANCE = 1e-5
