"""Drawn calls of the public API, and a slow reading of what each of them means: see `fuzz_inputs.py`."""
