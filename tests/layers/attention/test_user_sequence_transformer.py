import keras
import numpy as np
import pytest

from kranking.layers import UserSequenceTransformer
from kranking.testing import check_layer

LENGTH, DIM = 5, 4
SHAPES = [(6, LENGTH, DIM), (6, LENGTH)]
IDLE = ("encoder_0/key/bias", "encoder_1/key/bias")


def encode(tokens, valid, weights, heads):
    """One post-norm encoder layer, a sample and a head at a time."""

    def dense(x, name):
        return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    def normalize(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    context = np.zeros_like(tokens)
    size = tokens.shape[-1] // heads
    for row, keep in enumerate(valid):
        query, key, value = (dense(tokens[row], name) for name in ("query", "key", "value"))
        for part in (slice(h * size, (h + 1) * size) for h in range(heads)):
            scores = np.exp(query[:, part] @ key[keep, part].T / np.sqrt(size))
            share = scores / scores.sum(-1, keepdims=True)
            context[row, :, part] = share @ value[keep, part]
    tokens = normalize(tokens + dense(context, "attention_output"), "norm_attention")
    hidden = dense(np.maximum(dense(tokens, "expand"), 0), "contract")
    return normalize(tokens + hidden, "norm_feedforward")


def oracle(inputs, weights, config):
    """Serving: padding and the future hidden, position 0 never."""
    tokens, valid = inputs[0], inputs[1].copy()
    if config.get("time_window"):
        valid &= inputs[2] >= 0
    valid[:, 0] = True
    for index in range(config["num_layers"]):
        prefix = f"encoder_{index}/"
        layer = {p.removeprefix(prefix): w for p, w in weights.items() if p.startswith(prefix)}
        tokens = encode(tokens, valid, layer, config.get("num_heads", 1))
    largest = np.where(valid[:, :, None], tokens, -np.inf).max(1)
    pooled = largest @ weights["pooled/kernel"] + weights["pooled/bias"]
    newest = np.where(valid[:, :, None], tokens, 0)[:, : config["first_k"]]
    return np.concatenate([pooled, newest.reshape(len(tokens), -1)], axis=1)


def made_inputs(random, batch, with_age=False):
    tokens = random.standard_normal((batch, LENGTH, DIM)).astype("float32")
    lengths = random.integers(0, LENGTH + 1, (batch, 1))
    mask = np.arange(LENGTH) < lengths
    age = random.uniform(-100, 1000, (batch, LENGTH)).astype("float32")
    return [tokens, mask, age] if with_age else [tokens, mask]


def test_contract():
    config = {"num_layers": 2, "num_heads": 2, "feedforward_dim": 3, "first_k": 2}
    check_layer(UserSequenceTransformer, config, SHAPES, oracle, make_inputs=made_inputs, idle=IDLE)


@pytest.mark.parametrize("first_k", [0, LENGTH])
def test_contract_with_ages(first_k):
    check_layer(
        UserSequenceTransformer,
        {"num_layers": 1, "first_k": first_k, "time_window": 500.0, "seed": 1},
        [*SHAPES, SHAPES[1]],
        oracle,
        make_inputs=lambda random, batch: made_inputs(random, batch, with_age=True),
        idle=IDLE,
    )


@pytest.mark.parametrize(
    ("layers", "length", "dim", "hidden"), [(1, 3, 4, 8), (2, 100, 32, 32), (3, 20, 8, 5)]
)
def test_cost(layers, length, dim, hidden):
    layer = UserSequenceTransformer(layers, feedforward_dim=hidden, first_k=3)
    work = layer.work([(None, length, dim), (None, length)])
    encoder = 4 * dim**2 + 2 * dim * hidden + 9 * dim + hidden
    assert work.parameters == layers * encoder + dim**2 + dim
    flops = length * (8 * dim**2 + 4 * dim * hidden) + 4 * length**2 * dim
    assert work.matmul_flops == layers * flops + 2 * dim**2


def numpy_of(layer, inputs, **kwargs):
    return keras.ops.convert_to_numpy(layer(inputs, **kwargs))


def inputs_of_length(valid, age=None):
    tokens = np.random.default_rng(0).standard_normal((3, LENGTH, DIM)).astype("float32")
    mask = np.arange(LENGTH) < np.full((3, 1), valid)
    return [tokens, mask] if age is None else [tokens, mask, age.astype("float32")]


def test_what_padding_holds_does_not_matter():
    layer = UserSequenceTransformer(first_k=4)
    tokens, mask = inputs_of_length(3)
    wanted = numpy_of(layer, [tokens, mask])
    permuted = tokens[:, [0, 1, 2, 4, 3]]
    np.testing.assert_allclose(numpy_of(layer, [permuted, mask]), wanted, atol=1e-6)
    loud = np.where(mask[:, :, None], tokens, 1e4).astype("float32")
    np.testing.assert_allclose(numpy_of(layer, [loud, mask]), wanted, atol=1e-6)
    assert (wanted[:, -DIM:] == 0).all()  # position 3 is padding


def test_a_full_mask_keeps_every_token():
    layer = UserSequenceTransformer(first_k=LENGTH)
    inputs = inputs_of_length(LENGTH)
    outputs = numpy_of(layer, inputs)
    tokens = inputs[0]
    for encoder in layer.encoders:
        tokens = encoder(tokens)
    np.testing.assert_allclose(
        outputs[:, DIM:].reshape(3, LENGTH, DIM), keras.ops.convert_to_numpy(tokens), atol=1e-5
    )


def test_a_user_without_actions_gets_a_finite_vector_and_gradient():
    layer = UserSequenceTransformer(num_layers=1, first_k=2)
    inputs = inputs_of_length(0)
    outputs = numpy_of(layer, inputs)
    assert np.isfinite(outputs).all()
    symbols = [keras.Input(a.shape[1:], dtype=str(a.dtype)) for a in inputs]
    model = keras.Model(symbols, layer(symbols))
    model.compile("sgd", "mse")
    model.fit(inputs, np.zeros_like(outputs), verbose=0)
    assert all(np.isfinite(keras.ops.convert_to_numpy(w.value)).all() for w in layer.weights)


def test_a_window_of_zero_ignores_ages():
    layer = UserSequenceTransformer(num_layers=1, first_k=2, dropout=0.0)
    tokens, mask = inputs_of_length(4)
    for age in (np.zeros(mask.shape), np.full(mask.shape, -5.0)):
        inputs = [tokens, mask, age.astype("float32")]
        for training in (False, True):
            np.testing.assert_array_equal(
                numpy_of(layer, inputs, training=training), numpy_of(layer, [tokens, mask])
            )


def test_serving_hides_the_future_alone():
    layer = UserSequenceTransformer(num_layers=1, first_k=LENGTH, time_window=1e6)
    age = np.tile([-1.0, 5.0, -1.0, 0.0, 9.0], (3, 1))
    outputs = numpy_of(layer, inputs_of_length(LENGTH, age))[:, DIM:].reshape(3, LENGTH, DIM)
    hidden = (outputs == 0).all((0, 2))
    # Position 0 is from the future too, and stays.
    np.testing.assert_array_equal(hidden, [False, False, True, False, False])


def test_training_hides_what_is_younger_than_one_random_time():
    layer = UserSequenceTransformer(1, first_k=LENGTH, time_window=100.0, dropout=0.0, seed=3)
    age = np.tile([0.0, 20.0, 40.0, 60.0, 80.0], (3, 1))
    inputs = inputs_of_length(LENGTH, age)
    seen = set()
    for _ in range(30):
        outputs = numpy_of(layer, inputs, training=True)[:, DIM:].reshape(3, LENGTH, DIM)
        visible = (outputs != 0).any(2)
        assert (visible == visible[0]).all()  # one time for the whole batch
        assert visible[0, 0]
        assert not np.diff(visible[0, 1:].astype(int)).min(initial=0) < 0  # the older stay
        seen.add(int(visible[0].sum()))
    assert len(seen) >= 3


def test_the_random_time_is_seeded():
    age = np.tile([0.0, 20.0, 40.0, 60.0, 80.0], (3, 1))
    inputs = inputs_of_length(LENGTH, age)

    def hidden(seed):
        layer = UserSequenceTransformer(
            num_layers=1, first_k=LENGTH, time_window=100.0, dropout=0.0, seed=seed
        )
        return [(numpy_of(layer, inputs, training=True) == 0).sum() for _ in range(8)]

    assert hidden(1) == hidden(1)
    assert len({tuple(hidden(seed)) for seed in (1, 2, 3)}) > 1


def test_ages_of_a_month_survive_half_precision():
    layer = UserSequenceTransformer(1, first_k=2, time_window=1.0, dtype="mixed_float16")
    age = np.full((3, LENGTH), 2.6e6)  # beyond float16
    outputs = keras.ops.cast(layer(inputs_of_length(LENGTH, age)), "float32")
    assert np.isfinite(keras.ops.convert_to_numpy(outputs)).all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_layers": 0}, r"`num_layers` must be a positive integer"),
        ({"num_heads": 0}, r"`num_heads` must be a positive integer"),
        ({"first_k": -1}, r"`first_k` must be an integer of at least 0"),
        ({"time_window": -1.0}, r"`time_window` must be a number"),
        ({"dropout": 1.5}, r"`dropout` must be a number"),
        ({"seed": 1.5}, r"`seed` must be an integer of at least 0 or None"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        UserSequenceTransformer(**config)


@pytest.mark.parametrize(
    ("config", "shapes", "message"),
    [
        ({"first_k": 6}, SHAPES, r"`first_k` must be at most the sequence's length, 5. .*=6"),
        ({"first_k": 1}, SHAPES[:1], r"takes a list of tokens and mask with time_window=0.0"),
        ({"first_k": 1, "time_window": 9.0}, SHAPES, r"takes a list of tokens, mask and age with"),
    ],
)
def test_rejects_shapes(config, shapes, message):
    with pytest.raises(ValueError, match=message):
        UserSequenceTransformer(**config).build(shapes)
