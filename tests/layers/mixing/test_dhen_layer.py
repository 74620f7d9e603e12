import keras
import numpy as np
import pytest

from kranking.layers import (
    MLP,
    Concatenate,
    CrossNetwork,
    DHENCross,
    DHENLayer,
    DLRMInteraction,
    FeatureGate,
    GramCross,
    HCNet,
    Parallel,
    ParallelMaskNet,
    Tokenizer,
    TokenLinear,
    TransformerEncoderLayer,
    fill_open_arguments,
)
from kranking.testing import check_layer


@keras.saving.register_keras_serializable("kranking_tests")
class Both(keras.layers.Layer):
    """A module that reads the tokens, flat, and the raw numbers: their sum of squares and sum."""

    takes = ("flat", "numeric")

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")

    def call(self, inputs):
        flat, numeric = inputs
        square = keras.ops.sum(keras.ops.square(flat), axis=1, keepdims=True)
        total = keras.ops.sum(numeric, axis=1, keepdims=True)
        return keras.ops.concatenate([square, total], axis=1) * self.scale

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 2)

    def work(self, input_shape):
        from kranking.layers import Work

        return Work(parameters=2)


def normalize(x, weights, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * weights["norm/gamma"] + weights["norm/beta"]


def combine(x, kernel):
    """A token-linear map, token by token."""
    return np.stack([sum(k * x[:, t] for t, k in enumerate(column)) for column in kernel.T], axis=1)


def cross(x, weights, name):
    flat = x.reshape(len(x), -1)
    return (flat * (flat @ weights[f"{name}/kernel"] + weights[f"{name}/bias"])).reshape(x.shape)


def cut(x, kernel, dim):
    return (x @ kernel).reshape(len(x), -1, dim)


def concat_oracle(x, weights, config):
    """4 tokens: a cross squeezed to 2, an MLP cut into 1, a linear map to 1."""
    h = np.maximum(x.reshape(len(x), -1) @ weights["mlp/dense_0/kernel"], 0)
    parts = [
        combine(cross(x, weights, "cross"), weights["projection_0/kernel"]),
        cut(h, weights["projection_1/kernel"], x.shape[-1]),
        combine(x, weights["linear/kernel"]),
    ]
    return normalize(np.concatenate(parts, axis=1) + x, weights)


def concat_config():
    modules = [
        DHENCross(name="cross"),
        MLP([7], use_bias=False, name="mlp"),
        TokenLinear(1, name="linear"),
    ]
    return {"modules": modules, "num_tokens": (2, 1, 1)}


def weighted_oracle(x, weights, config):
    """3 tokens of width 4 to 2: everything is projected, the shortcut too; no norm."""
    gram = np.stack([row.T @ row for row in x])
    first = np.swapaxes(gram @ weights["gram/kernel"], 1, 2) + weights["gram/bias"]
    second = combine(cross(x, weights, "cross"), weights["projection_1/kernel"])
    w = weights["ensemble_weights"]
    return w[0] * first + w[1] * second + combine(x, weights["shortcut/kernel"])


def weighted_config():
    modules = [GramCross(name="gram"), DHENCross(name="cross")]
    return {"modules": modules, "num_tokens": 2, "ensemble": "weighted_sum", "norm": None}


def numeric_oracle(inputs, weights, config):
    x, numeric = inputs
    flat = x.reshape(len(x), -1)
    h = np.stack([(flat**2).sum(1), numeric.sum(1)], axis=1) * weights["both/scale"]
    parts = cut(h, weights["projection_0/kernel"], x.shape[-1]) + cross(x, weights, "cross")
    return normalize(parts + x, weights, epsilon=1e-3)


def numeric_config():
    modules = [Both(name="both"), DHENCross(name="cross")]
    return {"modules": modules, "ensemble": "sum", "epsilon": 1e-3}


def test_contract_of_a_concatenation():
    check_layer(DHENLayer, concat_config, (5, 4, 3), concat_oracle)


def test_contract_of_a_weighted_sum():
    check_layer(DHENLayer, weighted_config, (5, 3, 4), weighted_oracle)


def test_contract_of_a_sum_with_raw_numbers():
    check_layer(DHENLayer, numeric_config, [(5, 3, 4), (5, 2)], numeric_oracle)


def test_contract_of_mask_nets_and_chains_without_more_words():
    def config():
        # The mask net learns the width of its fields, the chain and the plain layer go by rank.
        chain = keras.Sequential([MLP([6]), CrossNetwork(1)])
        return {
            "modules": [ParallelMaskNet(2, 8), chain, keras.layers.Dense(3)],
            "ensemble": "sum",
        }

    check_layer(DHENLayer, config, (5, 4, 3))


@pytest.mark.parametrize(("tokens", "dim", "share"), [(6, 4, 3), (5, 3, 5), (10, 8, 2)])
def test_cost(tokens, dim, share):
    shape, width = (None, tokens, dim), tokens * dim

    def size(*modules, **config):
        work = DHENLayer(modules, share, **config).work(shape)
        return work.parameters - 2 * dim, work.matmul_flops

    total = 2 * share
    shortcut = tokens * total if total != tokens else 0
    squeeze = tokens * share if share != tokens else 0
    linear = tokens * share
    # linear: m·l, twice; a shortcut m·m_Y
    assert size(TokenLinear(share), TokenLinear(share)) == (
        2 * linear + shortcut,
        2 * dim * (2 * linear + shortcut),
    )
    # self-attention: 4D² + 2Df + 9D + f + m·l, with f = 7
    attention = size(TransformerEncoderLayer(1, 7), TokenLinear(share))
    assert attention[0] == (4 * dim**2 + 2 * dim * 7 + 9 * dim + 7 + squeeze + linear + shortcut)
    # DCN: W² + W (+ m·l)
    cross = size(DHENCross(), TokenLinear(share))
    assert cross[0] == width**2 + width + squeeze + linear + shortcut
    assert cross[1] == 2 * width**2 + 2 * dim * (squeeze + linear + shortcut)
    # any vector module: h·D·l
    vector = size(MLP([9]), TokenLinear(share))
    assert vector[0] == width * 9 + 9 + 9 * dim * share + linear + shortcut
    # equation 7 read literally: 2·D·l
    gram = size(GramCross(), TokenLinear(share))
    assert gram[0] == 2 * dim * share + linear + shortcut
    # a sum has one shortcut for its l tokens; weights one number per module
    shortcut = tokens * share if share != tokens else 0
    for ensemble, weights in (("sum", 0), ("weighted_sum", 2)):
        summed = size(TokenLinear(share), TokenLinear(share), ensemble=ensemble)
        assert summed[0] == 2 * linear + shortcut + weights


def test_cost_of_one_shape_does_not_settle_another():
    layer = DHENLayer([GramCross(), ParallelMaskNet(2, 8)])
    first = layer.work((None, 6, 4))
    assert layer.work((None, 9, 3)) != first
    assert layer.work((None, 6, 4)) == first
    assert layer.compute_output_shape((None, 9, 3)) == (None, 9, 3)
    layer.build((None, 9, 3))
    assert layer.blocks[1].field_dims == (3,) * 9
    assert layer.blocks[0].num_tokens == 5


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(layer, inputs):
    return keras.ops.convert_to_numpy(layer(inputs))


def layer_norm(x):
    ones = {"norm/gamma": 1.0, "norm/beta": 0.0}
    return normalize(np.asarray(x, "float64"), ones)


@pytest.mark.parametrize("ensemble", ["concat", "sum", "weighted_sum"])
def test_modules_of_zeros_leave_the_normalised_input(ensemble):
    x = normal((3, 4, 5))
    modules = [
        DHENCross(kernel_initializer="zeros"),
        MLP([6], kernel_initializer="zeros"),
        GramCross(kernel_initializer="zeros"),
    ]
    layer = DHENLayer(modules, ensemble=ensemble)
    np.testing.assert_allclose(values(layer, x), layer_norm(x), rtol=1e-5, atol=1e-5)


def test_a_linear_module_of_the_identity_doubles_the_input():
    x = normal((3, 4, 5))
    layer = DHENLayer([TokenLinear(4, kernel_initializer="identity")], ensemble="sum")
    np.testing.assert_allclose(values(layer, x), layer_norm(2 * x), rtol=1e-5, atol=1e-5)
    plain = DHENLayer([keras.layers.Identity()], norm=None)
    np.testing.assert_array_equal(values(plain, x), 2 * x)


def test_a_concatenation_has_the_order_of_its_modules():
    x = normal((3, 4, 5))
    modules = [TokenLinear(count, kernel_initializer="zeros") for count in (1, 2, 1)]
    layer = DHENLayer(modules, norm=None)
    np.testing.assert_array_equal(values(layer, x), x)
    for position, (module, moved) in enumerate(zip(modules, [[0], [1, 2], [3]], strict=True)):
        module.kernel.assign(np.full(module.kernel.shape, 1.0 + position))
        difference = np.abs(values(layer, x) - x).max(axis=(0, 2))
        assert np.nonzero(difference)[0].tolist() == moved
        module.kernel.assign(np.zeros(module.kernel.shape))


def test_weights_of_one_give_the_plain_sum():
    def made(ensemble):
        keras.utils.set_random_seed(3)
        return values(DHENLayer([DHENCross(), MLP([6])], ensemble=ensemble), normal((3, 4, 5)))

    np.testing.assert_allclose(made("weighted_sum"), made("sum"), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("modules", "tokens", "shares"),
    [
        ([DHENCross, DHENCross], 6, [3, 3]),
        ([DHENCross, DHENCross, DHENCross], 7, [3, 2, 2]),
        ([DHENCross, lambda: TokenLinear(2), DHENCross], 9, [4, 2, 3]),
        ([lambda: TokenLinear(5), lambda: TokenLinear(5)], 6, [5, 5]),
        ([DHENCross, DHENCross], 1, [1, 1]),
    ],
    ids=["even", "first more", "one told", "all told", "too few"],
)
def test_a_concatenation_shares_out_the_tokens(modules, tokens, shares):
    layer = DHENLayer([make() for make in modules], norm=None)
    layer.build((None, tokens, 4))
    counts = [
        tokens if projection is None else projection.num_tokens for projection in layer.projections
    ]
    counts = [getattr(b, "num_tokens", c) for b, c in zip(layer.blocks, counts, strict=True)]
    assert counts == shares
    assert (layer.shortcut is None) == (sum(shares) == tokens)
    assert layer.compute_output_shape((None, tokens, 4)) == (None, sum(shares), 4)


def test_a_sum_takes_the_number_that_a_module_was_told():
    layer = DHENLayer([TokenLinear(3), DHENCross(), GramCross()], ensemble="sum")
    assert layer.compute_output_shape((None, 7, 4)) == (None, 3, 4)
    with pytest.raises(ValueError, match=r"equal numbers of tokens: set `num_tokens`.*\[2, 3\]"):
        DHENLayer([TokenLinear(3), TokenLinear(2)], ensemble="sum").build((None, 7, 4))


def test_says_what_it_takes():
    assert DHENLayer([DHENCross(), MLP([4])]).takes == "tokens"
    assert DHENLayer([DHENCross(), Both()]).takes == ("tokens", "numeric")
    assert DHENLayer([Parallel([Both(), DHENCross()])]).takes == ("tokens", "numeric")


def test_branches_of_a_parallel_module_get_their_own_view():
    x, numeric = normal((3, 4, 5)), normal((3, 2))
    inner = Parallel([Both(), keras.Sequential([MLP([4])]), Parallel([Both(), MLP([3])])])
    layer = DHENLayer([inner, DHENCross()], ensemble="sum")
    assert values(layer, [x, numeric]).shape == (3, 4, 5)
    assert inner.compute_output_shape(
        [[(None, 20), (None, 2)], (None, 20), [[(None, 20), (None, 2)], (None, 20)]]
    ) == (None, 11)


@pytest.mark.parametrize("shape", [(None, 4, 5), [(None, 4, 5), (None, 2), (None, 2)]], ids=str)
def test_the_raw_numbers_must_be_given(shape):
    with pytest.raises(ValueError, match=r"takes \('tokens', 'numeric'\).*Received: input_shape="):
        DHENLayer([Both()]).build(shape)


def test_rejects_tokens_of_another_dim():
    with pytest.raises(ValueError, match=r"tokens of the input's dim, 5. Received: 'narrow'"):
        DHENLayer([keras.layers.Dense(3, name="narrow")]).build((None, 4, 5))


def views(batch=5):
    """Tokens, ids with their embeddings, numbers with embeddings, in the order of `takes`."""
    ids = np.random.default_rng(3).integers(0, 9, (batch, 3)).astype("int32")
    numbers = normal((batch, 2), seed=4)
    return [normal((batch, 4, 5)), ids, normal((batch, 3, 5), 1), numbers, normal((batch, 3, 5), 2)]


def memory_and_dlrm(**config):
    modules = [HCNet(50, name="memory"), DLRMInteraction([6], name="dlrm"), DHENCross(name="cross")]
    return {"modules": modules, "ensemble": "sum", **config}


def test_contract_of_modules_that_read_the_fields():
    shapes = [x.shape for x in views()]
    check_layer(DHENLayer, memory_and_dlrm, shapes, make_inputs=lambda _, batch: views(batch))


def test_modules_that_read_the_fields_give_what_they_give_alone():
    layer = DHENLayer(**memory_and_dlrm(norm=None))
    assert layer.takes == ("tokens", "ids", "categorical", "numeric", "embeddings")
    tokens, ids, categorical, numbers, embeddings = views()
    got = values(layer, [tokens, ids, categorical, numbers, embeddings])
    memory, dlrm, cross = layer.blocks
    expected = tokens + values(cross, tokens)
    for module, given, projection in (
        (memory, [ids, categorical], layer.projections[0]),
        (dlrm, [numbers, embeddings], layer.projections[1]),
    ):
        expected = expected + cut(values(module, given), np.array(projection.kernel), 5)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_builder_s_ids_and_kinds_reach_the_modules_and_its_field_dims_do_not():
    gate = FeatureGate(MLP([3]), context=(1,), context_dims=(2,))
    mask, tokenizer = ParallelMaskNet(1, 8), Tokenizer(5)
    layer = DHENLayer([gate, mask, tokenizer], ensemble="sum")
    assert layer.takes == ("tokens", "ids", "fields")
    fill_open_arguments(layer, id_sizes=(4, 9), kinds=("field", "field"), field_dims=(3, 3))
    assert gate.id_sizes == (4, 9)
    assert tokenizer.kinds == ("field", "field")
    assert mask.field_dims is None
    ids = np.zeros((3, 2), "int32")
    outputs = values(layer, [normal((3, 2, 5)), ids, [normal((3, 3)), normal((3, 3), 1)]])
    assert outputs.shape == (3, 2, 5)
    assert mask.field_dims == (5, 5)


def test_numbers_enter_any_module_through_a_chain():
    chain = keras.Sequential([Concatenate(("flat", "numeric")), CrossNetwork(1)])
    layer = DHENLayer([chain], norm=None)
    shapes = [(None, 4, 5), (None, 2)]
    layer.build(shapes)
    width = 4 * 5 + 2
    assert layer.count_params() == width**2 + width + width * 4 * 5
    assert layer.count_params() == layer.work(shapes).parameters
    x, numbers = normal((3, 4, 5)), normal((3, 2))
    together = np.concatenate([x.reshape(3, -1), numbers], axis=1)
    crossed = values(chain.layers[1], together)
    expected = x + cut(crossed, np.array(layer.projections[0].kernel), 5)
    np.testing.assert_allclose(values(layer, [x, numbers]), expected, rtol=1e-4, atol=1e-5)


def test_a_view_that_is_missing_is_refused():
    with pytest.raises(ValueError, match=r"takes \('tokens', 'ids', 'categorical'\), since its"):
        DHENLayer([HCNet(50)]).build([(None, 4, 5), (None, 3)])


def test_rejects_one_layer_twice():
    module = DHENCross(name="twin")
    with pytest.raises(ValueError, match=r"must be distinct layers.*\['twin', 'twin'\]"):
        DHENLayer([module, module])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"modules": []}, r"`modules` must be a non-empty list of Keras layers"),
        (
            {"modules": [3]},
            r"`modules` must be a non-empty list of Keras layers.*Received: modules=\[3\]",
        ),
        ({"ensemble": "max"}, r"`ensemble` must be one of .*ensemble='max'"),
        ({"norm": "batch"}, r"`norm` must be one of .*norm='batch'"),
        ({"epsilon": -1.0}, r"`epsilon` must be a number"),
        ({"num_tokens": 0}, r"`num_tokens` must be a positive integer or None"),
        ({"num_tokens": "4"}, r"`num_tokens` must be a list of positive integers"),
        ({"num_tokens": [2, 2]}, r"`num_tokens` must have one entry per module, 1"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        DHENLayer(**{"modules": [DHENCross()], **config})


def test_rejects_unequal_shares_of_a_sum():
    with pytest.raises(ValueError, match=r"all equal in a sum. Received: num_tokens=\(1, 2\)"):
        DHENLayer([DHENCross(), MLP([2])], num_tokens=[1, 2], ensemble="sum")


def test_a_dhen_layer_is_a_module_as_any_other():
    inner = DHENLayer([DHENCross(), TokenLinear()])
    layer = DHENLayer([inner, TokenLinear()])
    before = layer.compute_output_shape((None, 7, 4)), layer.work((None, 7, 4))
    layer.build((None, 7, 4))
    assert (layer.compute_output_shape((None, 7, 4)), layer.work((None, 7, 4))) == before
    assert before[0] == (None, 7, 4)
    assert inner.num_tokens is None
    assert tuple(layer(np.ones((2, 7, 4), "float32")).shape) == (2, 7, 4)
    assert before[1].parameters == sum(int(np.prod(w.shape)) for w in layer.trainable_weights)
