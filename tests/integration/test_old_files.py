"""Files of an earlier commit load and answer as they did; see `tests/fixtures/README.md`."""

import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import kranking as kr

FIXTURES = Path(__file__).parents[1] / "fixtures"
ANSWERS = json.loads((FIXTURES / "answers.json").read_text("utf-8"))


def assert_answers(name, answers):
    assert set(answers) == {"save", "hide"}
    for task, p in answers.items():
        np.testing.assert_allclose(np.asarray(p)[:, 0], ANSWERS[name][task], rtol=0, atol=1e-5)


def test_a_saved_model_loads():
    model = keras.saving.load_model(FIXTURES / "model.keras", compile=False)
    rows = model.preprocessor(ANSWERS["columns"])
    assert_answers("model.keras", model.predict(rows, verbose=0))


def test_its_layers_have_moved():
    """Otherwise the test above would prove nothing."""
    with zipfile.ZipFile(FIXTURES / "model.keras") as file:
        config = file.read("config.json").decode()
    assert "kranking.layers._mlp" in re.findall(r'"module": "([^"]+)"', config)
    assert kr.layers.MLP.__module__ != "kranking.layers._mlp"


@pytest.mark.once
def test_a_bundle_passes_every_check():
    verification = kr.export.verify_bundle(FIXTURES / "bundle", num_check_rows=8)
    assert verification.passed, verification


@pytest.mark.once
def test_a_bundle_answers():
    bundle = kr.export.load_bundle(FIXTURES / "bundle", threads=1)
    columns = {name: ANSWERS["columns"][name] for name in ("pin", "age")}
    rows = kr.features.Preprocessor(bundle.features())(columns)
    assert_answers("bundle", bundle.predict(rows))
    assert_answers("bundle", bundle.score(columns))
    for i in range(2):
        request = {"age": [ANSWERS["columns"]["age"][i]]}
        p = bundle.rank(request, {"pin": [ANSWERS["columns"]["pin"][i]]})
        assert p["save"][0, 0] == pytest.approx(ANSWERS["bundle"]["save"][i], abs=1e-5)
