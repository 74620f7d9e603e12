import keras
import numpy as np
import pytest
from keras import ops

from kranking.features import Categorical, Embedding, Numeric, Sequence, Task, as_model_inputs
from kranking.layers import (
    MLP,
    Concatenate,
    CrossNetwork,
    FeatureGate,
    LinearTerm,
    Parallel,
    Residual,
    SharedBottom,
    Tokenizer,
)
from kranking.models import RankingModel
from kranking.models._views import DEFAULT_TOKEN_DIM

FEATURES = [
    Categorical("c", vocabulary=("a", "b"), embedding_dim=4),
    Numeric("n", mean=0.0, std=1.0),
    Categorical("d", hash_buckets=5, embedding_dim=6),
    Categorical("tags", hash_buckets=5, embedding_dim=6, max_length=3),
    Numeric("m", transform="none"),
    Numeric("cut", transform="bucketize", boundaries=(0, 1), embedding_dim=4),
    Embedding("e", dim=3, l2_normalize=True),
    Sequence("s", of="c", max_length=4),
]
WIDTH = 4 + 1 + 6 + 6 + 1 + 4 + 3 + 4
TASKS = [Task("save"), Task("hide")]


def dense(tensor):
    return np.array(ops.convert_to_numpy(tensor), "float32")


def inputs_of(model, size=5, seed=0):
    rng = np.random.default_rng(seed)
    inputs = {}
    for name, spec in model.preprocessor.inputs.items():
        shape = (size, *spec.shape)
        values = rng.integers(-1, 9, shape) if spec.dtype == "int32" else rng.standard_normal(shape)
        inputs[name] = values.astype(spec.dtype)
    return as_model_inputs(inputs)


@keras.saving.register_keras_serializable(package="test_builder_views")
class Probe(keras.layers.Layer):
    """Takes what it is told, gives a flat vector, and remembers the shapes it was given."""

    gives = "flat"

    def __init__(self, takes, units=3, **kwargs):
        super().__init__(**kwargs)
        self.takes, self.units = takes, units

    def build(self, input_shape):
        self.shapes = input_shape
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")

    def call(self, inputs):
        self.seen = inputs
        parts = inputs if isinstance(inputs, list | tuple) else [inputs]
        parts = [ops.cast(p, self.compute_dtype) for p in parts]
        total = sum(ops.sum(ops.reshape(p, (-1, int(np.prod(p.shape[1:])))), axis=1) for p in parts)
        return ops.expand_dims(total, 1) * self.scale

    def compute_output_shape(self, input_shape):
        many = isinstance(input_shape[0], list | tuple)
        return (input_shape[0][0] if many else input_shape[0], self.units)

    def get_config(self):
        return {**super().get_config(), "takes": self.takes, "units": self.units}


@keras.saving.register_keras_serializable(package="test_builder_views")
class Tokens(keras.layers.Layer):
    """Takes tokens and gives them, doubled."""

    takes = "tokens"
    gives = "tokens"

    def call(self, inputs):
        return inputs * 2.0

    def compute_output_shape(self, input_shape):
        return input_shape


def seen(view, features=FEATURES):
    probe = Probe(view)
    model = RankingModel(features, [probe], TASKS)
    inputs = inputs_of(model)
    model(inputs)
    return model, inputs, probe.seen


def test_flat_view_joins_all_fields_in_order():
    model, inputs, x = seen("flat")
    fields = model.encoder(inputs)
    expected = np.concatenate([dense(fields[f.name]) for f in FEATURES], axis=1)
    assert expected.shape == (5, WIDTH)
    np.testing.assert_array_equal(dense(x), expected)


def test_fields_view_is_the_list_of_fields():
    model, inputs, x = seen("fields")
    fields = model.encoder(inputs)
    assert len(x) == len(FEATURES)
    for given, feature in zip(x, FEATURES):
        np.testing.assert_array_equal(dense(given), dense(fields[feature.name]))


def test_tokens_view_has_s_plus_c_plus_u_tokens():
    model, inputs, x = seen("tokens")
    view = model.stack[0]
    assert tuple(x.shape) == (5, 5 + 4 + 4, 32)  # 5 fields, 2 numbers, 1 sequence
    fields = model.encoder(inputs)
    tokenizer = view.adapters["tokens"]
    assert tokenizer.kinds == (
        *("field", "numeric", "field", "field"),
        "numeric",
        "field",
        "field",
        "sequence",
    )
    expected = tokenizer([fields[f.name] for f in FEATURES])
    np.testing.assert_allclose(dense(x), dense(expected), rtol=1e-6)


def test_ids_view_has_rows_of_single_valued_categoricals_within_their_tables():
    _, inputs, x = seen("ids")
    assert "int32" in str(x.dtype)
    columns = [(inputs["c"], 3), (inputs["d"], 6)]
    expected = [np.where((ids >= 0) & (ids < rows), ids, 0) for ids, rows in columns]
    np.testing.assert_array_equal(dense(x), np.stack(expected, axis=1))
    assert (inputs["d"] > 5).any()


def test_numeric_view_has_the_numbers():
    _, inputs, x = seen("numeric")
    np.testing.assert_array_equal(dense(x), np.stack([inputs["n"], inputs["m"]], axis=1))


def test_linear_view_has_a_term_per_feature_and_task():
    model, inputs, x = seen("linear")
    assert tuple(x.shape) == (5, len(FEATURES), len(TASKS))
    terms = model.stack[0].adapters["linear"]
    table = dense(terms.encoder.table("c"))
    assert table.shape == (3, 2)
    ids = np.where((inputs["c"] >= 0) & (inputs["c"] < 3), inputs["c"], 0)
    np.testing.assert_array_equal(dense(x)[:, 0], table[ids])
    weights = dense(terms.kernel)  # of the numbers n and m, the second and the fifth feature
    assert weights.shape == (2, 2)
    np.testing.assert_allclose(dense(x)[:, 1], inputs["n"][:, None] * weights[0], rtol=1e-6)
    np.testing.assert_allclose(dense(x)[:, 4], inputs["m"][:, None] * weights[1], rtol=1e-6)


EQUAL = [
    Categorical("c", vocabulary=("a", "b"), embedding_dim=4),
    Categorical("tags", hash_buckets=5, embedding_dim=4, max_length=3),
    Categorical("d", hash_buckets=5, embedding_dim=4),
    Sequence("s", of="c", max_length=4),
]
NUMBER = Numeric("n", mean=0.0, std=1.0)


def test_tokens_of_one_width_are_the_fields_themselves():
    model, inputs, x = seen("tokens", EQUAL)
    fields = model.encoder(inputs)
    assert not model.stack[0].weights
    np.testing.assert_array_equal(
        dense(x), np.stack([dense(fields[f.name]) for f in EQUAL], axis=1)
    )


def test_tokens_take_the_width_that_all_embeddings_have():
    model, _, x = seen("tokens", [*EQUAL, NUMBER])
    assert tuple(x.shape) == (5, 3 + 4 + 4, 4)
    assert isinstance(model.stack[0].adapters["tokens"], Tokenizer)


@pytest.mark.parametrize(("width", "dim"), [(1, DEFAULT_TOKEN_DIM), (2, 2)])
def test_tokens_are_wider_than_one_number(width, dim):
    """Fields of one number each would be tokens that no attention can tell apart."""
    fields = [Categorical(name, hash_buckets=5, embedding_dim=width) for name in "ab"]
    for features in (fields, [*fields, NUMBER]):
        _, _, x = seen("tokens", features)
        assert x.shape[2] == dim


def test_embeddings_are_the_tokens_without_numbers():
    model, inputs, x = seen("embeddings", [NUMBER, *EQUAL])
    fields = model.encoder(inputs)
    np.testing.assert_array_equal(
        dense(x), np.stack([dense(fields[f.name]) for f in EQUAL], axis=1)
    )


def test_categorical_tokens_stand_beside_their_ids():
    probes = [Probe("ids"), Probe("categorical")]
    model = RankingModel([NUMBER, *EQUAL], [Parallel(probes)], TASKS)
    inputs = inputs_of(model)
    model(inputs)
    ids, tokens = probes[0].seen, probes[1].seen
    for place, name in enumerate(["c", "d"]):
        table = dense(model.encoder.table(name))
        np.testing.assert_array_equal(dense(tokens)[:, place], table[np.asarray(ids)[:, place]])


def test_a_block_of_two_inputs_gets_a_list():
    probe = Probe(("ids", "categorical"))
    model = RankingModel(EQUAL, [Parallel([probe, MLP([2])])], TASKS)
    model(inputs_of(model))
    assert [tuple(x.shape) for x in probe.seen] == [(5, 2), (5, 2, 4)]


def test_what_a_block_leaves_open_is_filled_in():
    class Wants(Probe):
        field_dims = id_sizes = num_tasks = None

    first, second = Wants("ids"), Wants("flat")
    RankingModel(FEATURES, [first, second], TASKS)
    assert (first.id_sizes, first.num_tasks) == ((3, 6), 2)
    assert (second.id_sizes, second.num_tasks) == (None, 2)


@pytest.mark.parametrize("view", ["ids", "numeric"])
def test_view_without_members_is_refused(view):
    with pytest.raises(ValueError, match=f"takes the view '{view}', but no feature"):
        seen(view, [Embedding("e", dim=2)])


def test_unknown_view_is_refused():
    with pytest.raises(
        ValueError, match=r"`takes` of .* must be one of \['flat'.*Received: 'rows'"
    ):
        seen("rows")


BRANCHES = [
    (("flat", "tokens"), "concat"),
    (("tokens", "flat", "flat"), "concat"),
    (("ids", "linear", "numeric", "fields"), "sum"),
    (("tokens", "tokens"), "mean"),
    (("fields", "fields"), "sum"),
    (("flat",), "concat"),
]


@pytest.mark.parametrize(("takes", "merge"), BRANCHES, ids=str)
def test_each_branch_of_a_parallel_gets_its_own_view(takes, merge, tmp_path):
    alone = {view: seen(view)[2] for view in set(takes)}
    probes = [Probe(view) for view in takes]
    model = RankingModel(FEATURES, [Parallel(probes, merge=merge)], TASKS)
    inputs = inputs_of(model)
    expected = dense(model(inputs)["save"])
    for probe, view in zip(probes, takes):
        given = probe.seen if view == "fields" else [probe.seen]
        like = alone[view] if view == "fields" else [alone[view]]
        assert [tuple(x.shape) for x in given] == [tuple(x.shape) for x in like]
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(dense(loaded(inputs)["save"]), expected, rtol=1e-5, atol=1e-6)


def test_fields_for_as_many_branches_are_not_shared_out():
    probes = [Probe("fields"), Probe("fields")]
    features = [Categorical("c", hash_buckets=3, embedding_dim=4), Numeric("n", mean=0, std=1)]
    model = RankingModel(features, [Parallel(probes)], TASKS)
    model(inputs_of(model))
    assert [len(p.seen) for p in probes] == [2, 2]


def test_nested_parallels_get_nested_views(tmp_path):
    def blocks():
        same = Parallel([CrossNetwork(1), MLP([3])])
        mixed = Parallel([Probe("tokens"), Probe("linear")])
        return [Parallel([same, mixed, Residual(CrossNetwork(1))]), MLP([2])]

    model = RankingModel(FEATURES, blocks(), TASKS)
    inputs = inputs_of(model)
    expected = dense(model(inputs)["hide"])
    assert model.stack[1].compute_output_shape(model.stack[0].compute_output_shape(
        [model.encoder.compute_output_shape({"c": (None,)}), {"c": (None,)}]
    )) == (None, WIDTH + 3 + 3 + 3 + WIDTH)  # fmt: skip
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(dense(loaded(inputs)["hide"]), expected, rtol=1e-5, atol=1e-6)


def test_branches_of_one_view_share_one_adapter():
    model = RankingModel(FEATURES, [Parallel([Probe("tokens"), Probe("tokens")])], TASKS)
    assert list(model.stack[0].adapters) == ["tokens"]


@pytest.mark.parametrize(
    ("blocks", "stack"),
    [
        ([], ["FieldView", "SharedBottom"]),
        ([MLP([3])], ["FieldView", "MLP", "SharedBottom"]),
        ([Tokens()], ["FieldView", "Tokens", "Flatten", "SharedBottom"]),
        (
            [Tokens(), CrossNetwork(1)],
            ["FieldView", "Tokens", "Flatten", "CrossNetwork", "SharedBottom"],
        ),
        (
            [Tokens(), keras.layers.Dense(2), Tokens(), MLP([2])],
            ["FieldView", "Tokens", "Dense", "Tokens", "Flatten", "MLP", "SharedBottom"],
        ),
        (
            [Tokens(), Parallel([Probe("flat"), Probe("tokens")])],
            ["FieldView", "Tokens", "LaterView", "Parallel", "SharedBottom"],
        ),
        (
            [Tokens(), Parallel([CrossNetwork(1), MLP([2])])],
            ["FieldView", "Tokens", "Flatten", "Parallel", "SharedBottom"],
        ),
        ([MLP([6]), keras.layers.Reshape((2, 3)), Tokens()], None),
        ([keras.Sequential([Tokens(), keras.layers.Flatten()]), MLP([2])], None),
        ([keras.layers.Dense(3), keras.layers.Dropout(0.1)], None),
    ],
    ids=lambda v: "-".join(type(b).__name__ for b in v) if v and not isinstance(v[0], str) else "",
)
def test_adapters_stand_where_they_are_needed(blocks, stack):
    model = RankingModel(FEATURES, blocks, TASKS)
    inputs = inputs_of(model)
    assert {k: v.shape for k, v in model(inputs).items()} == {"save": (5, 1), "hide": (5, 1)}
    if stack is not None:
        assert [type(layer).__name__ for layer in model.stack] == stack
    lines = []
    model.summary(print_fn=lambda line, **kwargs: lines.append(line), line_length=120)
    for layer in (model.encoder, *model.stack):
        assert layer.name in "\n".join(lines)
    work = model.work()
    if not work.unknown:
        assert model.count_params() == work.parameters


def test_tokens_after_flat_are_refused_with_the_layer_to_insert():
    with pytest.raises(
        ValueError,
        match=r"'tok' takes tokens .*flat vector of width 6\. Insert keras\.layers\.Reshape\(\(tokens",
    ):
        RankingModel(FEATURES, [MLP([6]), Tokens(name="tok")], TASKS)
    with pytest.raises(ValueError, match=r"Insert keras\.layers\.Reshape"):
        RankingModel(FEATURES, [MLP([6]), Parallel([Tokens(), MLP([2])])], TASKS)


@pytest.mark.parametrize("view", ["ids", "linear", "embeddings", "fields"])
def test_views_of_the_inputs_belong_first(view):
    message = (
        f"takes '{view}', which is only available to the first.*position 1.*Parallel that is first"
    )
    with pytest.raises(ValueError, match=message):
        RankingModel(FEATURES, [MLP([2]), Probe(view)], TASKS)


def test_numbers_alone_in_mid_stack_are_refused():
    with pytest.raises(ValueError, match=r"'n' takes only raw numbers.*position 1.*Ident"):
        RankingModel(FEATURES, [MLP([2]), Probe("numeric", name="n")], TASKS)
    with pytest.raises(ValueError, match=r"view 'numeric', but no feature"):
        RankingModel(EQUAL, [MLP([2]), Probe(("flat", "numeric"))], TASKS)


@pytest.mark.parametrize(
    ("first", "takes", "shapes"),
    [
        (MLP, ("flat", "numeric"), [(5, 6), (5, 2)]),
        (MLP, (None, "numeric"), [(5, 6), (5, 2)]),
        (Tokens, ("tokens", "numeric"), [(5, 13, 32), (5, 2)]),
        (Tokens, ("numeric", "flat"), [(5, 2), (5, 13 * 32)]),
    ],
    ids=str,
)
def test_raw_numbers_reach_a_later_block(first, takes, shapes, tmp_path):
    probe = Probe(takes)
    model = RankingModel(FEATURES, [MLP([6]) if first is MLP else first(), probe], TASKS)
    inputs = inputs_of(model)
    model(inputs)
    assert [tuple(x.shape) for x in probe.seen] == shapes
    numbers = probe.seen[takes.index("numeric")]
    np.testing.assert_array_equal(dense(numbers), np.stack([inputs["n"], inputs["m"]], axis=1))
    model.compile("sgd", weighted_metrics=None)
    model.fit(inputs, {task.name: np.ones(5, "float32") for task in TASKS}, verbose=0)
    expected = dense(model(inputs)["save"])
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(dense(loaded(inputs)["save"]), expected, rtol=1e-5, atol=1e-6)


def test_branches_of_a_later_parallel_get_the_numbers_beside_what_stands_before():
    """Also where the first block reads no field."""
    numbers = keras.Sequential([Concatenate(("numeric",)), MLP([3])])
    blocks = [LinearTerm(), Parallel([keras.layers.Identity(), numbers])]
    model = RankingModel(FEATURES, blocks, TASKS, heads=SharedBottom())
    inputs = inputs_of(model)
    model(inputs)
    assert not model.stack[0].needs_fields
    assert [type(layer).__name__ for layer in model.stack[2:4]] == ["LaterView", "Parallel"]
    assert tuple(numbers.layers[1].steps[0].kernel.shape) == (2, 3)
    assert model.count_params() == model.work().parameters
    view = model.stack[2]
    again = type(view).from_config(view.get_config())
    assert (again.views, again.numbers) == (view.views, view.numbers)


def test_a_chain_of_several_inputs_is_built_with_the_model():
    gate = FeatureGate(context=(0,), context_dims=(2,))
    chain = keras.Sequential([gate, MLP([3])])
    model = RankingModel(FEATURES, [chain], TASKS)
    count = model.count_params()
    model(inputs_of(model))
    assert count == model.count_params() == model.work().parameters


def test_heads_must_give_one_logit_per_task():
    with pytest.raises(ValueError, match=r"one logit per task, \(batch, 2\).*returns \(None, 3\)"):
        RankingModel(FEATURES, [MLP([2])], TASKS, heads=keras.layers.Dense(3))
    with pytest.raises(ValueError, match=r"`heads` must be a Keras layer\. Received: 'dense'"):
        RankingModel(FEATURES, [MLP([2])], TASKS, heads="dense")
    heads = SharedBottom(tower_units=(3,))
    assert RankingModel(FEATURES, [MLP([2])], TASKS, heads=heads).heads is heads


def test_output_of_rank_4_is_refused():
    with pytest.raises(ValueError, match=r"'cube' must return \(batch, width\) or tokens"):
        RankingModel(FEATURES, [MLP([8]), keras.layers.Reshape((2, 2, 2), name="cube")], TASKS)


def test_field_dims_reach_the_first_block():
    class Wants(Probe):
        field_dims = None

    first, second = Wants("flat"), Wants("flat")
    RankingModel(FEATURES, [first, second], TASKS)
    assert first.field_dims == (4, 1, 6, 6, 1, 4, 3, 4)
    assert second.field_dims is None


def test_layers_without_build_or_shape_work_as_in_a_functional_model(tmp_path):
    @keras.saving.register_keras_serializable(package="test_builder_views")
    class Plain(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(3)

        def call(self, inputs):
            return self.dense(inputs) * 2.0

    model = RankingModel(FEATURES, [Plain(), keras.layers.Lambda(lambda x: x + 1.0)], TASKS)
    assert [tuple(w.shape) for w in model.stack[1].weights] == [(WIDTH, 3), (3,)]
    inputs = inputs_of(model)
    model(inputs)
    model.save_weights(tmp_path / "m.weights.h5")
    other = RankingModel(FEATURES, [Plain(), keras.layers.Lambda(lambda x: x + 1.0)], TASKS)
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(dense(other(inputs)["save"]), dense(model(inputs)["save"]))


def test_heads_of_an_unregistered_class_are_used_as_given():
    class Head(keras.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], 2), name="kernel")

        def call(self, inputs):
            return ops.matmul(inputs, self.kernel)

    heads = Head()
    model = RankingModel(FEATURES, [MLP([2])], TASKS, heads=heads)
    assert model.heads is heads
    model.add(MLP([4]))
    assert type(model.heads) is Head
    assert tuple(model.heads.kernel.shape) == (4, 2)


def test_a_model_of_first_order_terms_alone_has_no_embeddings(tmp_path):
    model = RankingModel(EQUAL, [LinearTerm()], TASKS, heads=keras.layers.Identity())
    rows = 3 + 6 + 6  # of c, tags and d; the sequence reads c's
    assert model.count_params() == model.work().parameters == len(TASKS) * (rows + 1)
    inputs = inputs_of(model)
    model.compile("sgd", weighted_metrics=None)
    model.train_on_batch(inputs, {task.name: np.ones(5, "float32") for task in TASKS})
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(dense(loaded(inputs)["save"]), dense(model(inputs)["save"]))
    model = RankingModel(EQUAL, [LinearTerm()], TASKS)
    model.pop()
    model.add(MLP([2]))
    assert model.count_params() == rows * 4 + (4 * 4 * 2 + 2) + (2 * 2 + 2)
