"""DHEN, its baseline, and RankMixer: exact sizes."""

import keras
import numpy as np
import pytest

import kranking as kr
from kranking import architectures

DIM, FIELDS = 4, 6
TASKS = [kr.Task("save"), kr.Task("hide")]


def features(dims=(DIM,) * FIELDS):
    return [
        kr.features.Categorical(f"c{i}", vocabulary=(0, 1), embedding_dim=dim)
        for i, dim in enumerate(dims)
    ]


def own_size(name, dims=(DIM,) * FIELDS, **arguments):
    """The parameters behind the tables."""
    model = architectures.get(name).build(features(dims), TASKS, **arguments)
    return model.work().parameters - model.encoder.work().parameters


def mlp_size(width, *units):
    return sum(a * b + b for a, b in zip((width, *units), units))


@pytest.mark.parametrize(("num_layers", "share"), [(1, 3), (3, 3), (2, 5)])
def test_dhen_of_attention_and_linear_modules(num_layers, share):
    size, tokens = 0, FIELDS
    for _ in range(num_layers):
        attention = 4 * DIM**2 + 2 * DIM * 7 + 9 * DIM + 7
        squeeze = tokens * share if tokens != share else 0
        shortcut = tokens * 2 * share if tokens != 2 * share else 0
        size += attention + squeeze + tokens * share + shortcut + 2 * DIM
        tokens = 2 * share
    size += mlp_size(tokens * DIM, 8, 2)
    arguments = {"num_layers": num_layers, "num_tokens": share, "feedforward_dim": 7}
    assert own_size("dhen", units=(8,), **arguments) == size


def test_dhen_of_every_module():
    share, width = 2, FIELDS * DIM
    modules = ("attention", "linear", "cross", "gram", "convolution", "mask", "dlrm")
    squeeze, total = FIELDS * share, 7 * share
    mask = 2 * width + (width**2 + width) * 2 + width * 3 + 2 * 3
    size = 4 * DIM**2 + 2 * DIM * 64 + 9 * DIM + 64 + squeeze
    size += squeeze + (width**2 + width + squeeze) + 2 * DIM * share + (9 + 1 + squeeze)
    size += FIELDS * 8 + mlp_size(FIELDS * 8, 512, 256) + 256 * DIM * share  # rank 8
    size += mask + 3 * DIM * share + FIELDS * total + 2 * DIM
    size += mlp_size(total * DIM, 8, 2)
    arguments = {"num_layers": 1, "num_tokens": share, "block_dim": 3, "units": (8,)}
    assert own_size("dhen", modules=modules, **arguments) == size


def test_dhen_of_a_weighted_sum():
    size = 2 * (FIELDS**2 + 2 + 2 * DIM) + mlp_size(FIELDS * DIM, 8, 2) + 2 * FIELDS**2
    arguments = {"num_layers": 2, "num_tokens": FIELDS, "ensemble": "weighted_sum"}
    assert own_size("dhen", modules=("linear", "linear"), units=(8,), **arguments) == size


def test_dhen_rejects_an_unknown_module():
    with pytest.raises(ValueError, match=r"`modules` must be one of .*Received: modules='deep'"):
        own_size("dhen", modules=("deep",))
    with pytest.raises(ValueError, match=r"`num_layers` must be a positive integer"):
        own_size("dhen", num_layers=0)


@pytest.mark.parametrize(("experts", "dims"), [(2, (4, 4)), (4, (3, 1, 7))])
def test_moe_mlp(experts, dims):
    width = sum(dims)
    size = experts * mlp_size(width, 9, 5) + width * experts + 2 * (5 + 1)
    assert own_size("moe_mlp", dims, num_experts=experts, units=(9, 5)) == size


@pytest.mark.parametrize(("layers", "tokens", "dim", "k"), [(1, 4, 8, 1), (2, 2, 6, 3)])
def test_rank_mixer(layers, tokens, dim, k):
    dims = (3, 1, 7)
    slice_width = -(-sum(dims) // tokens)
    block = tokens * (2 * k * dim**2 + k * dim + dim) + 4 * dim
    size = tokens * (slice_width * dim + dim) + layers * block + 2 * (dim + 1)
    arguments = {"num_layers": layers, "num_tokens": tokens, "token_dim": dim, "expansion": k}
    assert own_size("rank_mixer", dims, **arguments) == size


def test_rank_mixer_is_near_the_paper_s_approximation():
    """2kLTD² for the per-token networks of 16 tokens of 768 in two layers."""
    work = kr.layers.RankMixerLayer(expansion=1).work((None, 16, 768))
    assert 2 * work.parameters == pytest.approx(2 * 2 * 16 * 768**2, rel=0.01)


@keras.saving.register_keras_serializable("kranking_tests")
class Scaled(keras.layers.Layer):
    """A module that scales the tokens by the sum of the raw numbers."""

    takes = ("tokens", "numeric")
    gives = "tokens"

    def build(self, input_shape):
        """Has no weights."""

    def call(self, inputs):
        tokens, numeric = inputs
        return tokens * keras.ops.expand_dims(keras.ops.sum(numeric, axis=1, keepdims=True), 1)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def test_raw_numbers_reach_the_modules_of_a_model(tmp_path):
    numbers = [kr.features.Numeric(name, mean=0.0, std=1.0) for name in ("age", "length")]
    modules = [[kr.layers.CrossNetwork(1)], [Scaled(), kr.layers.ParallelMaskNet(1, 8)]]
    model = kr.RankingModel(
        [*features(), *numbers], [kr.layers.DHEN(modules, ensemble="sum", norm=None)], TASKS
    )
    x = {f"c{i}": np.arange(3, dtype="int32") % 2 for i in range(FIELDS)}
    x |= {"age": np.array([1.0, 2.0, 3.0], "float32"), "length": np.ones(3, "float32")}
    x = kr.features.as_model_inputs(x)
    tokens = keras.ops.convert_to_numpy(model.stack[0]([model.encoder(x), x])[0])
    # The first layer without its weights, the second but for its module: x (1 + Σ numbers).
    for layer in (modules[0][0], modules[1][1]):
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    first, second = model.blocks[0].steps
    for projection in (*first.projections, second.projections[1]):
        projection.set_weights([np.zeros_like(w) for w in projection.get_weights()])
    scale = 1 + x["age"] + x["length"]
    got = keras.ops.convert_to_numpy(model.stack[1](model.stack[0]([model.encoder(x), x])))
    np.testing.assert_allclose(got, tokens * scale[:, None, None], rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for name, value in model(x).items():
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(again(x)[name]),
            keras.ops.convert_to_numpy(value),
            rtol=1e-5,
            atol=1e-6,
        )


def test_a_memory_and_dlrm_are_modules_of_a_model(tmp_path):
    """Ids, numbers and embeddings reach the first layer, and numbers a second DHEN in mid-stack."""
    number = kr.features.Numeric("age", mean=0.0, std=1.0)
    memory, dlrm = kr.layers.HCNet(50), kr.layers.DLRMInteraction([6])
    later = kr.layers.AdvancedDLRM(2, units=(5,), use_numeric=True)
    blocks = [kr.layers.DHEN([[memory, dlrm]]), kr.layers.DHEN([[later, kr.layers.DHENCross()]])]
    model = kr.RankingModel([*features(), number], blocks, TASKS)
    assert model.stack[0].views == ("tokens", "ids", "categorical", "numeric", "embeddings")
    assert model.count_params() == model.work().parameters
    x = {f"c{i}": np.arange(5, dtype="int32") % 2 for i in range(FIELDS)}
    x = kr.features.as_model_inputs({**x, "age": np.arange(5, dtype="float32")})
    model.compile("adam", weighted_metrics=None)
    model.train_on_batch(x, {task.name: np.arange(5) % 2 for task in TASKS})
    expected = model(x)
    assert np.ptp(keras.ops.convert_to_numpy(expected["save"])) > 0
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")(x)
    for name, value in expected.items():
        np.testing.assert_allclose(
            *map(keras.ops.convert_to_numpy, (again[name], value)), rtol=1e-5, atol=1e-6
        )
