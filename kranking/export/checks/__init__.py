"""Expected outputs of artefacts, and checks of artefacts and bundles."""
