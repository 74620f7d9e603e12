import keras
import numpy as np
import pytest

from kranking.layers import (
    MLP,
    AdvancedDLRM,
    Concatenate,
    CrossNetwork,
    DLRMInteraction,
    MaskBlock,
    Parallel,
    ParallelMaskNet,
    Residual,
    SharedBottom,
    TransformerEncoderLayer,
    fill_open_arguments,
)
from kranking.testing import check_layer


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def values(layer, inputs, **kwargs):
    return keras.ops.convert_to_numpy(layer(inputs, **kwargs))


def two_dense(merge):
    return lambda: {"branches": [keras.layers.Dense(4), keras.layers.Dense(4)], "merge": merge}


MERGES = {
    "concat": lambda parts: np.concatenate(parts, axis=-1),
    "sum": sum,
    "mean": lambda parts: sum(parts) / len(parts),
}


@pytest.mark.parametrize("merge", list(MERGES))
def test_contract(merge):
    def oracle(x, weights, config):
        first, first_bias, second, second_bias = weights.values()
        return MERGES[merge]([x @ first + first_bias, x @ second + second_bias])

    check_layer(Parallel, two_dense(merge), (5, 6), oracle)


def test_contract_of_the_baseline_s_input_beside_the_crosses():
    def oracle(x, weights, config):
        kernel, bias = weights.values()
        return np.concatenate([x * (x @ kernel + bias) + x, x], axis=1)

    check_layer(
        Parallel, lambda: {"branches": [CrossNetwork(1), keras.layers.Identity()]}, (5, 6), oracle
    )


def test_contract_with_a_view_for_each_branch():
    def oracle(x, weights, config):
        first, first_bias, second, second_bias = weights.values()
        return np.concatenate([x[0] @ first + first_bias, x[1] @ second + second_bias], axis=1)

    check_layer(Parallel, two_dense("concat"), [(5, 6), (5, 3)], oracle)


def test_contract_of_nested_containers():
    check_layer(
        Parallel,
        lambda: {
            "branches": [
                Residual(MLP([6])),
                keras.Sequential([CrossNetwork(1), keras.layers.Dense(3)]),
                Parallel([keras.layers.Identity(), MLP([2])], merge="concat"),
            ]
        },
        (5, 6),
    )


def dlrm(name):
    return AdvancedDLRM(2, units=(3,), use_numeric=True, name=name)


def two_dlrm():
    return {"branches": [dlrm("a"), dlrm("b")]}


def of_both(first, second, given):
    return np.concatenate([values(first, given[0]), values(second, given[1])], axis=1)


def test_contract_of_branches_that_share_several_inputs():
    check_layer(Parallel, two_dlrm, [(5, 3, 4), (5, 2)])


def test_as_many_inputs_as_branches_are_not_shared_out_where_each_takes_them_all():
    layer = Parallel(**two_dlrm())
    both = [normal((5, 3, 4)), normal((5, 2))]
    expected = of_both(*layer.branches, [both, both])
    np.testing.assert_allclose(values(layer, both), expected, rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape([(None, 3, 4), (None, 2)]) == (None, 4, 4)


def test_each_branch_of_several_inputs_gets_its_own(tmp_path):
    """In a functional model, too; saved and loaded."""
    shapes = [[(3, 4), (2,)], [(5, 4), (1,)]]
    given = [[normal((5, *shape), i) for i, shape in enumerate(pair)] for pair in shapes]
    layer = Parallel(**two_dlrm())
    expected = of_both(*layer.branches, given)
    inputs = [[keras.Input(shape) for shape in pair] for pair in shapes]
    model = keras.Model(inputs, layer(inputs))
    np.testing.assert_allclose(values(model, given), expected, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(values(loaded, given), expected, rtol=1e-5, atol=1e-6)


def test_branches_of_one_and_of_several_inputs_stand_side_by_side():
    branches = [DLRMInteraction([4]), MLP([3]), Parallel([MLP([2]), MLP([1])])]
    numbers, embeddings, flat = normal((5, 2)), normal((5, 3, 4)), normal((5, 6))
    layer = Parallel(branches)
    given = [[numbers, embeddings], flat, flat]
    assert values(layer, given).shape == (5, (4 + 6) + 3 + (2 + 1))
    work = layer.work([[(None, 2), (None, 3, 4)], (None, 6), (None, 6)])
    assert layer.count_params() == work.parameters


@pytest.mark.parametrize("shape", [[(None, 3, 4), (None, 2)], (None, 3, 4)], ids=str)
def test_rejects_inputs_that_a_branch_does_not_take(shape):
    layer = Parallel([dlrm("a"), TransformerEncoderLayer(name="b")], name="both")
    with pytest.raises(
        ValueError, match=r"`both` expects one input for all.*Received: input_shape=.*"
    ):
        layer.build(shape)


def test_a_chain_of_several_inputs_is_built_with_its_parallel():
    """Keras leaves such a chain to its first call."""
    chain = keras.Sequential([Concatenate(("flat", "numeric")), MLP([3])])
    layer = Parallel([chain, CrossNetwork(1)])
    shapes = [[(None, 4), (None, 2)], (None, 4)]
    layer.build(shapes)
    assert layer.count_params() == (6 * 3 + 3) + (4 * 4 + 4)
    assert values(layer, [[normal((5, 4)), normal((5, 2))], normal((5, 4))]).shape == (5, 7)
    assert layer.count_params() == layer.work(shapes).parameters


def test_tokens_join_on_the_token_axis():
    layer = Parallel([TransformerEncoderLayer(), keras.layers.Identity()])
    x = normal((2, 3, 4))
    outputs = values(layer, x)
    assert outputs.shape == (2, 6, 4)
    np.testing.assert_array_equal(outputs[:, 3:], x)
    assert layer.compute_output_shape((None, 3, 4)) == (None, 6, 4)


def test_the_mean_of_equal_stacks_is_one_stack():
    one, many = CrossNetwork(2), Parallel([CrossNetwork(2) for _ in range(3)], merge="mean")
    x = normal((4, 5))
    one(x), many(x)
    many.set_weights(one.get_weights() * 3)
    np.testing.assert_allclose(values(many, x), values(one, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("stacks", "depth", "width"), [(1, 4, 6), (2, 3, 9), (4, 2, 16)])
def test_cost_of_parallel_crosses(stacks, depth, width):
    work = Parallel([CrossNetwork(depth) for _ in range(stacks)]).work((None, width))
    assert work.parameters == stacks * depth * (width**2 + width)
    assert work.matmul_flops == stacks * depth * 2 * width**2


def test_work_lists_what_it_does_not_know():
    work = Parallel([keras.layers.Dense(4), keras.layers.Lambda(abs)]).work((None, 6))
    assert work.parameters == 28
    assert work.unknown == ("Lambda",)


def test_training_reaches_the_branches():
    layer = Parallel([keras.layers.Dropout(0.5), Residual(keras.layers.Dropout(0.5))])
    x = np.ones((1, 400), "float32")
    assert (values(layer, x) == 1).sum() == 400
    trained = values(layer, x, training=True)
    assert (trained[:, :400] == 0).any()
    assert (trained[:, 400:] == 1).any()


def test_says_what_its_branches_take():
    layer = Parallel(
        [
            MLP([4]),
            keras.layers.Identity(),
            TransformerEncoderLayer(),
            keras.Sequential([keras.layers.Dense(2), CrossNetwork()]),
        ]
    )
    assert layer.takes == ("flat", None, "tokens", "flat")
    assert layer.gives == "tokens"
    assert Parallel([MLP([4]), keras.layers.Identity()]).gives == "flat"
    assert Residual(TransformerEncoderLayer()).takes == "tokens"
    assert Residual(TransformerEncoderLayer()).gives == "tokens"


def test_a_builder_fills_the_branches_that_see_the_fields():
    given = MaskBlock(4, field_dims=(6,))
    wanting = [MaskBlock(4), ParallelMaskNet(2, 4), MaskBlock(4), MaskBlock(6)]
    later = MaskBlock(5)
    chain = keras.Sequential([wanting[1], later])
    inner = Parallel([wanting[2], Residual(wanting[3])])
    layer = Parallel([given, wanting[0], chain, inner, MLP([4])])
    fill_open_arguments(layer, field_dims=(2, 4), num_tasks=3)
    assert [each.field_dims for each in wanting] == [(2, 4)] * 4
    assert given.field_dims == (6,)
    assert later.field_dims is None
    later.field_dims = (8,)
    assert values(layer, normal((3, 6))).shape == (3, 4 + 4 + 5 + 10 + 4)
    again = Parallel.from_config(layer.get_config())
    assert again.branches[1].field_dims == (2, 4)


def test_the_number_of_tasks_reaches_every_layer():
    heads = SharedBottom(), SharedBottom(num_tasks=2)
    layer = Parallel([keras.Sequential([MLP([2]), heads[0]]), heads[1]])
    fill_open_arguments(layer, sees_fields=False, num_tasks=3, field_dims=(1,))
    assert [each.num_tasks for each in heads] == [3, 2]


def test_a_scalar_branch_is_repeated_in_a_sum():
    scalar, vector = MLP([1], activation=None), MLP([3], activation=None)
    layer = Parallel([scalar, vector], merge="sum")
    x = normal((4, 5))
    np.testing.assert_allclose(
        values(layer, x), values(scalar, x) + values(vector, x), rtol=1e-5, atol=1e-6
    )
    assert layer.compute_output_shape((None, 5)) == (None, 3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"branches": []}, r"`branches` must be a non-empty list of Keras layers"),
        (
            {"branches": [3]},
            r"`branches` must be a non-empty list of Keras layers.*Received: branches=\[3\]",
        ),
        ({"branches": [MLP([2])], "merge": "max"}, r"`merge` must be one of .*merge='max'"),
    ],
    ids=["empty", "number", "merge"],
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        Parallel(**config)


def test_rejects_one_layer_twice():
    layer = MLP([2], name="twin")
    with pytest.raises(ValueError, match=r"must be distinct layers.*\['twin', 'twin'\]"):
        Parallel([layer, layer])


@pytest.mark.parametrize(
    ("branches", "merge", "shape"),
    [
        ([MLP([2]), MLP([3])], "sum", (None, 6)),
        ([MLP([2]), MLP([3])], "concat", (None, 5, 6)),
        ([keras.layers.Flatten(), keras.layers.Identity()], "concat", (None, 5, 6)),
    ],
    ids=["sum", "dims", "ranks"],
)
def test_rejects_outputs_that_do_not_merge(branches, merge, shape):
    with pytest.raises(ValueError, match=r"cannot merge its branches.*Received: output shapes"):
        Parallel(branches, merge=merge).build(shape)
