import keras
import numpy as np
import pytest

from kranking.layers import (
    DHEN,
    MLP,
    CrossNetwork,
    DHENCross,
    DHENLayer,
    HCNet,
    Parallel,
    ParallelMaskNet,
    TokenLinear,
    TransformerEncoderLayer,
    Work,
)
from kranking.testing import check_layer


@keras.saving.register_keras_serializable("kranking_tests")
class TokensAndNumbers(keras.layers.Layer):
    """A module that adds the raw numbers' weighted sum to every token."""

    takes = ("tokens", "numeric")
    gives = "tokens"

    def build(self, input_shape):
        width = input_shape[1][-1]
        self.kernel = self.add_weight(shape=(width, 1), initializer="normal", name="kernel")

    def call(self, inputs):
        tokens, numeric = inputs
        return tokens + keras.ops.expand_dims(keras.ops.matmul(numeric, self.kernel), 1)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def work(self, input_shape):
        width = input_shape[1][-1]
        return Work(width, 2 * width)


def normalize(x, weights, name):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}/norm/gamma"] + weights[f"{name}/norm/beta"]


def by_name(weights, end):
    """The weight whose path ends so, wherever its layer was made."""
    (value,) = [value for path, value in weights.items() if path.endswith(end)]
    return value


def oracle(inputs, weights, config):
    """Two layers of sums: the first reads the raw numbers, the second does not."""
    x, numeric = inputs
    number = (numeric @ by_name(weights, "numbers/kernel"))[:, None]
    x = normalize(x + number + x, weights, "layer_0")
    linear = np.einsum("btd,to->bod", x, by_name(weights, "linear/kernel"))
    flat = x.reshape(len(x), -1)
    crossed = flat * (flat @ by_name(weights, "cross/kernel") + by_name(weights, "cross/bias"))
    return normalize(linear + crossed.reshape(x.shape) + x, weights, "layer_1")


def test_contract():
    def config():
        return {
            "modules": [
                [TokensAndNumbers(name="numbers")],
                [TokenLinear(4, name="linear"), DHENCross(name="cross")],
            ],
            "ensemble": "sum",
        }

    check_layer(DHEN, config, [(5, 4, 3), (5, 2)], oracle)


def test_pinterest_s_list_of_lists():
    """Mask nets learn in each layer how wide its tokens are, and remember it when saved."""
    layer = DHEN(
        [
            [CrossNetwork(2), ParallelMaskNet(2, 8)],
            [CrossNetwork(1), TransformerEncoderLayer(), ParallelMaskNet(1, 8)],
        ],
        num_tokens=2,
    )
    x = normal((5, 3, 4))
    assert values(layer, x).shape == (5, 6, 4)
    assert layer.count_params() == layer.work((None, 3, 4)).parameters
    assert layer.steps[1].blocks[2].field_dims == (4,) * 4
    again = DHEN.from_config(layer.get_config())
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(values(again, x), values(layer, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("tokens", "dim", "share"), [(4, 3, 2), (6, 4, 3), (9, 8, 5)])
def test_cost(tokens, dim, share):
    modules = [[TokenLinear(share), MLP([7])], [TokenLinear(share), TokenLinear(share)]]
    work = DHEN(modules, share).work((None, tokens, dim))
    width, later = tokens * dim, 2 * share
    first = tokens * share + width * 7 + 7 + 7 * dim * share
    first += tokens * later if later != tokens else 0
    assert work.parameters == first + 2 * later * share + 4 * dim


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def test_is_its_layers_one_after_another():
    x = normal((3, 4, 5))
    whole = DHEN([[DHENCross(), TokenLinear(2)], [MLP([6]), DHENCross()]])
    parts = [DHENLayer([DHENCross(), TokenLinear(2)]), DHENLayer([MLP([6]), DHENCross()])]
    whole(x)
    y = x
    for step, part in zip(whole.steps, parts, strict=True):
        part(y)
        part.set_weights(step.get_weights())
        y = values(part, y)
    np.testing.assert_allclose(values(whole, x), y, rtol=1e-5, atol=1e-5)


def test_says_what_it_takes():
    assert DHEN([[DHENCross()], [MLP([2])]]).takes == "tokens"
    numbers = TokensAndNumbers()
    assert DHEN([[DHENCross()], [MLP([2]), numbers]]).takes == ("tokens", "numeric")


def test_raw_numbers_reach_a_later_layer():
    modules = [[DHENCross()], [TokensAndNumbers(), DHENCross()]]
    layer = DHEN(modules, ensemble="sum", norm=None)
    x, numeric = normal((3, 4, 5)), normal((3, 2))
    difference = values(layer, [x, numeric + 1]) - values(layer, [x, numeric])
    added = keras.ops.convert_to_numpy(modules[1][0].kernel.value).sum()
    np.testing.assert_allclose(difference, np.full((3, 4, 5), added), rtol=1e-3, atol=1e-4)
    assert layer.count_params() == layer.work([(None, 4, 5), (None, 2)]).parameters


def test_rejects_numbers_that_no_module_takes():
    with pytest.raises(ValueError, match=r"takes tokens, since its modules do. Received"):
        DHEN([[DHENCross()]]).build([(None, 4, 5), (None, 2)])


def test_layers_start_apart_under_a_seed():
    initializer = keras.initializers.GlorotUniform(seed=1)
    layer = DHEN([[MLP([4])], [MLP([4])]], kernel_initializer=initializer)
    layer.build((None, 4, 5))
    first, second = (keras.ops.convert_to_numpy(s.projections[0].kernel.value) for s in layer.steps)
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("modules", [[], [DHENCross()], "x", [[DHENCross()], None]], ids=repr)
def test_rejects(modules):
    with pytest.raises(
        ValueError, match=r"`modules` must be a non-empty list of lists of Keras layers"
    ):
        DHEN(modules)


def test_rejects_one_layer_twice():
    module = DHENCross(name="twin")
    with pytest.raises(ValueError, match=r"must be distinct layers.*\['twin', 'twin'\]"):
        DHEN([[module], [module]])


def test_rejects_an_empty_layer():
    with pytest.raises(ValueError, match=r"`modules` must be a non-empty list of Keras layers"):
        DHEN([[DHENCross()], []])


def test_views_of_the_fields_reach_the_first_layer_and_numbers_every_layer():
    memory = HCNet(50)
    modules = [[memory, DHENCross()], [TokensAndNumbers(), TokenLinear()]]
    layer = DHEN(modules, ensemble="sum", norm=None)
    assert layer.takes == ("tokens", "ids", "categorical", "numeric")
    x, categorical, numbers = normal((3, 4, 5)), normal((3, 2, 5), 1), normal((3, 2), 2)
    ids = np.array([[0, 1], [2, 1], [2, 0]], "int32")
    got = values(layer, [x, ids, categorical, numbers])
    first, second = layer.steps
    middle = values(first, [x, ids, categorical])
    np.testing.assert_allclose(got, values(second, [middle, numbers]), rtol=1e-5, atol=1e-5)
    shapes = [(None, 4, 5), (None, 2), (None, 2, 5), (None, 2)]
    assert layer.count_params() == layer.work(shapes).parameters


@pytest.mark.parametrize(
    "wrap",
    [
        lambda module: module,
        lambda module: keras.Sequential([module, MLP([4])], name="memory"),
        lambda module: Parallel([module, MLP([4])], name="memory"),
        lambda module: DHEN([[module]], name="memory"),
    ],
    ids=["alone", "chain", "parallel", "dhen"],
)
def test_rejects_views_of_the_fields_in_a_later_layer(wrap):
    module = wrap(HCNet(50, name="memory"))
    with pytest.raises(
        ValueError,
        match=r"`modules` of layer 1 read tokens .*Put the module there.*'memory'.*'ids'",
    ):
        DHEN([[DHENCross()], [MLP([3]), module]])
