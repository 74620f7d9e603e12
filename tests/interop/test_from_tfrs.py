"""Trained TFRS models become kranking models; the real ones in a process of their own.

.venv/bin/pip install -c constraints.txt -e '.[dev,tfrs]'
.venv/bin/pytest tests/interop
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import interop

CHILD = Path(__file__).with_name("tfrs_child.py")
BLOCKS = {
    "ranking tutorial": ["MLP"],
    "full": ["CrossNetwork", "MLP"],
    "full, no bias, diagonal": ["CrossNetwork", "MLP"],
    "low rank": ["LowRankCrossNetwork", "MLP", "MLP"],
    "MultiLayerDCN": ["LowRankCrossNetwork", "MLP", "BatchNormalization", "ReLU", "Dropout"],
    "MultiLayerDCN as wide": ["LowRankCrossNetwork"],
    "own x0": ["CrossNetwork", "LowRankCrossNetwork", "MLP"],
}


without_tfrs = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_recommenders") is None
    or importlib.util.find_spec("tf_keras") is None,
    reason="needs kranking[tfrs]",
)


def needs_tfrs(test):
    return pytest.mark.extra(without_tfrs(test))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tfrs")


@pytest.fixture(scope="module")
def report(folder):
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder)],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@needs_tfrs
@pytest.mark.parametrize("case", BLOCKS)
def test_predictions_are_equal(report, case):
    found = report["cases"][case]
    assert found["difference"] <= 1e-5
    assert found["spread"] > 0.1  # one number for all rows would prove nothing
    assert found["unknown"] > 0.0  # the out-of-vocabulary row is among those compared
    assert found["losses"][1] < 0.95 * found["losses"][0]  # trained weights, not initial ones
    assert found["blocks"] == BLOCKS[case]
    assert found["sides"] == ["user", "context", "context", "context"]


@needs_tfrs
@pytest.mark.parametrize("case", BLOCKS)
def test_the_file_needs_no_tfrs(report, folder, case):
    """This process has no Keras 2: what the other one wrote loads, and predicts what TFRS did."""
    model = keras.models.load_model(folder / f"{case}.keras")
    with np.load(folder / f"{case}.npz") as arrays:
        rows = dict(arrays)
    wanted = rows.pop("wanted")
    assert interop.check_same_predictions(model, lambda _: wanted, rows) <= 1e-5


@needs_tfrs
def test_dots(report):
    """Pairs in another order, with and without the diagonal, zeros in between, numbers in front."""
    dots = report["dots"]
    assert len(dots) == 6
    for case, found in dots.items():
        assert found["difference"] <= 1e-5, case
        assert found["spread"] > 0.1, case
        assert found["blocks"] == [case.split()[0].replace("dot", "Dot") + "Interaction", "MLP"]


@needs_tfrs
def test_tasks(report):
    (one, no_towers), (each, towers), (text, _) = report["tasks"].values()
    assert max(one, each, text) <= 1e-5
    assert (no_towers, towers) == (0, 2)


@needs_tfrs
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("preactivation", ["Cross 'cross", "preactivation='relu'", "inner_activation"]),
        ("diag_scale", ["Cross 'cross", "diag_scale=0.5", "low-rank"]),
        ("projection_dim", ["projection_dim=[2, None]"]),
        ("deep", ["GaussianNoise"]),
        ("activation", ["Dense 'dense", "activation='hard_sigmoid'"]),
        ("ending", ["Dense 'dense", "activation='softplus'", "linear or sigmoid"]),
        ("units", ["one logit per task, 1", "Received: 3"]),
        ("order", ["predictions for `rows` differ", "task 'save'", "order of the features"]),
        ("width", ["17", "Received: 13", "'hour': 6"]),
        ("forgotten", ["predictions for `rows` differ"]),
        ("bottom", ["`bottom` requires a DotInteraction"]),
        ("oov", ["StringLookup", "num_oov_indices=2"]),
        ("hashing", ["feature 'city'", "'Hashing'"]),
    ],
)
def test_refuses(report, case, words):
    message = report["errors"][case]
    assert all(word in message for word in words), message


@needs_tfrs
def test_docs_page(tmp_path):
    """The page's blocks run in order, in a process of their own and an empty folder."""
    page = Path(__file__).parents[2] / "docs" / "coming-from-tfrs.md"
    blocks = re.findall(r"^```python tfrs\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 4
    (tmp_path / "page.py").write_text("\n".join(blocks), "utf-8")
    done = subprocess.run(
        [sys.executable, "page.py"],
        env={**os.environ, "PYTHONPATH": str(page.parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split("\n")[:2] == ["True", "(None, 40)"]


def built(layer, *shape):
    layer.build((None, *shape))
    return layer


def embedding(rows, dim):
    layer = built(keras.layers.Embedding(rows, dim))
    layer.set_weights([np.arange(rows * dim, dtype="float32").reshape(rows, dim)])
    return layer


@pytest.mark.parametrize(
    ("options", "vocabulary", "first"),
    [
        ({}, (7, 9), [0, 1, 2]),
        ({"mask_token": 0}, (7, 9, 0), [1, 2, 3, 0]),  # a mask token is one more value
        ({"mask_token": 0, "num_oov_indices": 0}, (7, 9, 0), [None, 1, 2, 0]),
        ({"num_oov_indices": 0}, (7, 9), [None, 0, 1]),  # nothing was ever unknown
    ],
)
def test_row_zero_is_the_unknown(options, vocabulary, first):
    lookup = keras.layers.IntegerLookup(vocabulary=[7, 9], **options)
    table = embedding(5, 2)  # more rows than the lookup reaches
    feature, rows = interop.from_tfrs_tower("age", [lookup, table], side="user")
    assert (feature.vocabulary, feature.side, feature.width) == (vocabulary, "user", 2)
    source = table.get_weights()[0]
    wanted = [np.zeros(2) if i is None else source[i] for i in first]
    np.testing.assert_array_equal(rows, wanted)


def test_mask_token_that_stands_for_null_goes_to_row_zero():
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"], mask_token="")
    feature, rows = interop.from_tfrs_tower("text", [lookup, embedding(4, 2)])
    assert feature.vocabulary == ("a", "b")
    np.testing.assert_array_equal(rows, embedding(4, 2).get_weights()[0][1:])


def test_other_towers():
    feature, rows = interop.from_tfrs_tower("id", keras.Sequential([embedding(3, 2)]))
    assert feature.vocabulary == (0, 1, 2)
    assert rows.shape == (4, 2)
    cuts = keras.layers.Discretization([1.0, 2.0])
    feature, rows = interop.from_tfrs_tower("hour", [cuts, embedding(3, 2)])
    assert feature.boundaries == (1.0, 2.0)
    assert not rows[0].any()
    norm = built(keras.layers.Normalization(axis=None, mean=3.0, variance=4.0))
    feature, rows = interop.from_tfrs_tower("price", norm)
    assert (feature.mean, feature.std, rows) == (3.0, 2.0, None)
    assert interop.from_tfrs_tower("raw", None)[0].transform == "none"
    given = kr.features.Embedding("x", dim=3)
    assert interop.from_tfrs_tower("cover", given)[0] == kr.features.Embedding("cover", dim=3)


@pytest.mark.parametrize(
    ("tower", "message"),
    [
        (lambda: [keras.layers.Dense(3)], "feature 'x' must be .*Received: .'Dense'."),
        (lambda: keras.layers.Embedding(3, 2), "has no weights yet"),
        (
            lambda: [keras.layers.IntegerLookup(vocabulary=[1, 2, 3]), embedding(3, 2)],
            "at least 4 rows.*Received: 3",
        ),
        (
            lambda: [keras.layers.IntegerLookup(vocabulary=[1], output_mode="one_hot"), embedding(3, 2)],
            "output_mode='one_hot'",
        ),
        (
            lambda: [keras.layers.IntegerLookup(vocabulary=[1], invert=True), embedding(3, 2)],
            "invert=True",
        ),
        (
            lambda: built(keras.layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 1.0]), 2),
            "one number per row",
        ),
        (lambda: kr.features.Categorical("x", vocabulary=(1, 2)), "has a table but no weights"),
    ],
)  # fmt: skip
def test_refuses_a_tower(tower, message):
    with pytest.raises(ValueError, match=message):
        interop.from_tfrs_tower("x", tower())


def test_dense_layers_become_mlps():
    """Equal steps become one MLP, a change of activation, bias or dropout starts another."""
    layers = keras.layers
    source = keras.Sequential(
        [
            *(layers.Dense(8, "relu"), layers.Dropout(0.1), layers.Dense(6, "relu"), layers.Dropout(0.1)),
            *(layers.Dense(5, "relu"), layers.Dense(5, "tanh"), layers.LayerNormalization()),
            *(layers.Dense(4, use_bias=False), layers.LeakyReLU(0.2), layers.Activation("tanh")),
        ]
    )  # fmt: skip
    source.build((None, 7))
    source.set_weights(
        [np.random.default_rng(0).normal(size=w.shape) for w in source.get_weights()]
    )
    blocks = interop.from_tfrs_dense(source)
    kinds = [(type(b).__name__, getattr(b, "units", None)) for b in blocks]
    assert kinds == [
        ("MLP", (8, 6)),
        ("MLP", (5,)),
        ("MLP", (5,)),
        ("LayerNormalization", None),
        ("MLP", (4,)),
        ("LeakyReLU", None),
        ("Activation", None),
    ]
    assert blocks[0].dropout == 0.1
    x = np.random.default_rng(1).normal(size=(5, 7)).astype("float32")
    out = x
    for block in blocks:
        out = block(out)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(out), keras.ops.convert_to_numpy(source(x)), rtol=1e-5, atol=1e-5
    )


class Cross(keras.layers.Dense):
    """What is read of a TFRS Cross: the class's name, its config and its weights."""

    def get_config(self):
        return {"projection_dim": None, "diag_scale": 0.0, "preactivation": "linear"}


def test_interaction_of_kranking_is_taken_as_it_is():
    """A wiring that `from_tfrs` does not know: put together by hand, from converted parts."""
    table = embedding(3, 4)
    crosses = [built(Cross(4), 4), built(Cross(4), 4)]
    beside = built(keras.layers.Dense(5, "relu"), 4)
    last = keras.layers.Dense(1)

    def trained(rows):
        x = x0 = table(rows["id"])
        for cross in crosses:
            x = x0 * cross(x) + x
        return last(keras.ops.concatenate([x, beside(x0)], axis=-1))

    parallel = kr.layers.Parallel(
        [interop.from_tfrs_cross(crosses), *interop.from_tfrs_dense(beside)]
    )
    rows = {"id": np.array([0, 1, 2])}
    arguments = {"rows": rows, "interaction": parallel, "logits": last}
    model = interop.from_tfrs(trained, {"id": table}, [kr.Task("save")], **arguments)
    assert interop.check_same_predictions(model, trained, rows) <= 1e-5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": None}, "must contain the layer that outputs the logits"),
        ({"logits": {}}, "Missing: .'save'."),
        ({"logits": {"save": []}}, "layer for every task"),
        ({"sides": {"nobody": "user"}}, "Received: .'nobody'."),
        ({"interaction": ["text"]}, "`interaction` must be instances of"),
        ({"logits": keras.layers.Activation("sigmoid")}, "must be a Dense"),
    ],
)
def test_refuses_arguments(changes, message):
    table, last = embedding(3, 4), built(keras.layers.Dense(1), 4)
    arguments = {"rows": {"id": np.array([0, 1])}, "logits": last, **changes}
    with pytest.raises(ValueError, match=message):
        interop.from_tfrs(
            lambda rows: last(table(rows["id"])), {"id": table}, [kr.Task("save")], **arguments
        )


class DotInteraction(keras.layers.Layer):
    """The class name and the two attributes that are read from a TFRS DotInteraction."""

    self_interaction = skip_gather = False


@pytest.mark.parametrize(
    ("widths", "changes", "message"),
    [
        ((4, 3), {}, r"embeddings of equal width.*widths .4, 3."),
        ((4, 1), {}, r"embeddings of equal width.*numbers .'x1'., no bottom"),
        ((4, 1), {"bottom": [keras.layers.Dense(3)]}, "the last has 4 units"),
        ((4, 1), {"bottom": [keras.layers.Dense(4), keras.layers.ReLU()]}, "must be Dense layers"),
        ((4, 4), {"deep": keras.layers.ReLU()}, "DotInteraction must be followed by a Dense"),
        ((4, 4), {"deep": keras.layers.Dense(3)}, "has width 1. Received: a kernel of 9 rows"),
    ],
)
def test_refuses_dots(widths, changes, message):
    towers = {f"x{i}": embedding(3, width) if width > 1 else None for i, width in enumerate(widths)}
    last = built(keras.layers.Dense(1), 3)
    for layer in changes.get("bottom", [])[:1]:
        layer.build((None, 1))
    if "deep" in changes:
        changes["deep"].build((None, 9))
    rows = {name: np.array([0, 1]) for name in towers}
    with pytest.raises(ValueError, match=message):
        interop.from_tfrs(
            lambda rows: np.zeros(2), towers, [kr.Task("save")],
            rows=rows, interaction=DotInteraction(), logits=last, **changes,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (np.zeros((2, 2)), r"one prediction per row and task, \(rows, 1\)"),
        (np.zeros((3, 1)), r"one prediction per row, \(2, 1\). Received: \(3, 1\)"),
        ({"hide": np.zeros(2)}, "Missing: .'save'."),
        (np.array([0.0, np.nan]), "predictions for `rows` differ"),
    ],
)
def test_refuses_predictions(predictions, message):
    age = kr.features.Numeric("age", transform="none")
    model = kr.RankingModel([age], [kr.layers.MLP([2])], [kr.Task("save")])
    with pytest.raises(ValueError, match=message):
        interop.check_same_predictions(model, lambda _: predictions, {"age": np.ones(2)})
