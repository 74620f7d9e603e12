"""The cross family: exact sizes of every structure, and what the parts are connected to."""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import architectures, layers

FEATURES = [
    kr.features.Categorical("country", side="user", vocabulary=tuple("abcdefg"), embedding_dim=8),
    kr.features.Numeric("age", side="item", mean=0.0, std=1.0),
    kr.features.Embedding("cover", dim=12, project_to=7, side="item"),
]
WIDTH = 8 + 1 + 7
TASKS = [kr.Task("save"), kr.Task("hide", weight=0.5)]
TABLES = 8 * 8 + 12 * 7
UNITS = (6, 4)
FULL = 2 * (WIDTH**2 + WIDTH)


def dense(inputs, outputs):
    return inputs * outputs + outputs


def mlp_size(width):
    return dense(width, 6) + dense(6, 4)


def structured(cross):
    """The size of each structure around a cross network of `cross` parameters."""
    return {
        "crossnet_only": cross + dense(WIDTH, 2),
        "stacked": cross + mlp_size(WIDTH) + dense(4, 2),
        "parallel": cross + mlp_size(WIDTH) + dense(WIDTH + 4, 2),
        "stacked_parallel": cross + 2 * mlp_size(WIDTH) + dense(4 + 4, 2),
    }


def size_of(name, **kwargs):
    build = architectures.get(name).build
    return build(FEATURES, TASKS, depth=2, units=UNITS, **kwargs).count_params() - TABLES


def test_dcn():
    assert size_of("dcn") == structured(2 * 2 * WIDTH)["parallel"]


@pytest.mark.parametrize("structure", structured(0))
def test_dcn_v2(structure):
    assert size_of("dcn_v2", model_structure=structure) == structured(FULL)[structure]


def test_dcn_v2_of_low_rank():
    low = 2 * (2 * WIDTH * 3 + WIDTH)
    found = size_of("dcn_v2", low_rank=3, inner_activation="relu")
    assert found == structured(low)["parallel"]


@pytest.mark.parametrize("structure", ["crossnet_only", "parallel"])
def test_dcn_mix(structure):
    mix = 2 * (3 * (2 * WIDTH * 5 + 5 * 5) + WIDTH) + WIDTH * 3
    found = size_of("dcn_mix", num_experts=3, low_rank=5, model_structure=structure)
    assert found == structured(mix)[structure]


@pytest.mark.parametrize("structure", ["stacked", "parallel"])
def test_gdcn(structure):
    gated = 2 * (2 * WIDTH**2 + WIDTH)
    assert size_of("gdcn", model_structure=structure) == structured(gated)[structure]


@pytest.mark.parametrize(
    ("merge", "merged"), [("concat", 3 * WIDTH), ("sum", WIDTH), ("mean", WIDTH)]
)
def test_parallel_dcn_v2(merge, merged):
    expected = 3 * FULL + mlp_size(merged) + dense(4, 2)
    assert size_of("parallel_dcn_v2", num_stacks=3, merge=merge) == expected


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_the_mean_of_equal_stacks_is_one_stack():
    x = np.random.default_rng(0).standard_normal((4, WIDTH)).astype("float32")
    model = architectures.parallel_dcn_v2(FEATURES, TASKS, num_stacks=3, merge="mean", units=UNITS)
    parallel = model.blocks[0]
    for stack in parallel.branches[1:]:
        stack.set_weights(parallel.branches[0].get_weights())
    np.testing.assert_allclose(values(parallel(x)), values(parallel.branches[0](x)), rtol=1e-5)


def test_stacks_start_apart():
    keras.utils.set_random_seed(0)
    model = architectures.parallel_dcn_v2(FEATURES, TASKS, num_stacks=3, units=UNITS)
    kernels = [values(stack.kernels[0].value) for stack in model.blocks[0].branches]
    assert len({kernel.tobytes() for kernel in kernels}) == 3


def test_a_stacked_mlp_reads_the_crosses_and_a_parallel_one_the_fields():
    """With the cross network shut, a stacked model is blind, a parallel one is not."""
    moved = {}
    for structure in ("stacked", "parallel", "stacked_parallel"):
        model = architectures.dcn_v2(
            FEATURES, TASKS, model_structure=structure, depth=1, units=(32, 16)
        )
        (cross,) = [lay for lay in model._flatten_layers() if isinstance(lay, layers.CrossNetwork)]
        # x ⊙ (x A + b) + x = 0
        cross.kernels[0].assign(np.zeros((WIDTH, WIDTH)))
        cross.biases[0].assign(np.full(WIDTH, -1.0))
        x = model.preprocess({"country": ["a", "b"], "age": [0.5, 2.0], "cover": np.eye(2, 12) * 3})
        logits = values(model(x)["save"])
        moved[structure] = abs(float(logits[0, 0] - logits[1, 0])) > 1e-4
    assert moved == {"stacked": False, "parallel": True, "stacked_parallel": True}


@pytest.mark.parametrize("name", ["dcn_v2", "dcn_mix"])
def test_rejects_an_unknown_structure(name):
    with pytest.raises(
        ValueError, match=r"`model_structure` must be one of .*Received: .*='tower'"
    ):
        architectures.get(name).build(FEATURES, TASKS, model_structure="tower")


def test_gdcn_has_two_structures():
    with pytest.raises(ValueError, match=r"must be one of \['stacked', 'parallel'\]"):
        architectures.gdcn(FEATURES, TASKS, model_structure="crossnet_only")


def test_an_inner_activation_needs_two_factors():
    with pytest.raises(ValueError, match=r"requires `low_rank`. Received: inner_activation='relu'"):
        architectures.dcn_v2(FEATURES, TASKS, inner_activation="relu")


def test_a_cross_bias_may_start_as_in_the_authors_code():
    uniform = keras.initializers.RandomUniform(0, 1)
    model = architectures.gdcn(FEATURES, TASKS, bias_initializer=uniform, units=UNITS)
    bias = values(model.blocks[0].branches[0].biases[0].value)
    assert bias.min() >= 0
    assert bias.std() > 0.1


@pytest.mark.parametrize("name", ["dcn_v2", "sdcn_v3"])
def test_a_saved_model_predicts_the_same(name, tmp_path):
    options = {"dcn_v2": {"model_structure": "stacked_parallel", "units": UNITS}, "sdcn_v3": {}}
    model = architectures.get(name).build(FEATURES, TASKS, **options[name])
    x = model.preprocess({"country": ["a", "b"], "age": [0.5, 2.0], "cover": np.eye(2, 12)})
    before = model.predict(x, verbose=0)["save"]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0)["save"], before, rtol=1e-6)
