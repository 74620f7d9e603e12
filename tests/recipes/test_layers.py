"""The page of layers."""

from pathlib import Path

import keras
import pytest

import kranking as kr

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_page_of_layers_is_up_to_date(run, tmp_path):
    result = run("layers.py", tmp_path / "out")
    public = [getattr(kr.layers, name) for name in kr.layers.__all__]
    layers = [c for c in public if isinstance(c, type) and issubclass(c, keras.layers.Layer)]
    assert set(result) == {layer.__name__ for layer in layers}
    written = (tmp_path / "out" / "layers.md").read_text("utf-8")
    assert written == (ROOT / "docs" / "layers.md").read_text("utf-8")
