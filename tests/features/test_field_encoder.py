import json
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from kranking.features import (
    Categorical,
    Embedding,
    FieldEncoder,
    Numeric,
    Pooling,
    Sequence,
    TransAct,
)
from kranking.features._tables import warn_of_large_tables


def dense(tensor):
    return np.array(ops.convert_to_numpy(tensor), "float32")


FEATURES = [
    Categorical("c", vocabulary=("a", "b", "d"), embedding_dim=4),
    Categorical("h", hash_buckets=9, embedding_dim=4, l2_normalize=True),
    Categorical("mean", hash_buckets=5, max_length=3, embedding_dim=4),
    Categorical("sum", hash_buckets=5, max_length=3, embedding_dim=6, pooling="sum"),
    Categorical("max", hash_buckets=5, max_length=3, embedding_dim=6, pooling="max"),
    Numeric("n", mean=0.0, std=1.0),
    Numeric("cut", transform="bucketize", boundaries=(0, 1), embedding_dim=4, l2_normalize=True),
    Embedding("e", dim=5),
    Embedding("p", dim=5, project_to=3, l2_normalize=True),
    Sequence("s", of="c", max_length=4, encoder=Pooling("mean")),
    Sequence(
        "t",
        of="h",
        max_length=4,
        action="act",
        action_vocabulary=("x", "y"),
        action_dim=2,
        candidate="c",
        encoder=Pooling("max"),
        l2_normalize=True,
    ),
]


def random_inputs(features, size=12, seed=0):
    """Gives inputs with ids around the tables, out of range ones among them."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for feature in features:
        for name, spec in feature.inputs().items():
            shape = (size, *spec.shape)
            ids = rng.integers(-3, 15, shape).astype("int32")
            if spec.shape:
                ids[0] = -1
            values = rng.standard_normal(shape).astype("float32")
            inputs[name] = ids if spec.dtype == "int32" else values
    return inputs


# The oracle: NumPy, one row at a time, from the tables that `encoder.table` shows.


def rows(table, ids):
    return np.stack([table[i if 0 <= i < len(table) else 0] for i in ids])


def pooled(vectors, ids, mode):
    valid = vectors[np.array(ids) >= 0]
    if not len(valid):
        return np.zeros(vectors.shape[-1], "float32")
    return getattr(np, mode)(valid, axis=0)


def oracle(encoder, feature, inputs, i):
    ids = inputs[feature.name][i]
    if isinstance(feature, Sequence):
        parts = [rows(dense(encoder.table(feature.of)), ids)]
        if feature.action is not None:
            kinds = dense(encoder.action_tables[feature.name])
            parts.append(rows(kinds, inputs[f"{feature.name}.action"][i]))
        if feature.candidate is not None:
            table = dense(encoder.table(feature.candidate))
            parts.append(rows(table, [inputs[feature.candidate][i]] * feature.max_length))
        field = pooled(np.concatenate(parts, axis=1), ids, feature.encoder.mode)
    elif isinstance(feature, Embedding):
        kernel = encoder.projections.get(feature.name)
        field = ids if kernel is None else ids @ dense(kernel)
    elif isinstance(feature, Numeric) and not feature.bucketized:
        return np.array([ids])
    elif isinstance(feature, Categorical) and feature.multivalued:
        field = pooled(rows(dense(encoder.table(feature.name)), ids), ids, feature.pooling)
    else:
        field = rows(dense(encoder.table(feature.name)), [ids])[0]
    norm = np.linalg.norm(field)
    return field / norm if feature.l2_normalize and norm > 0 else field


@pytest.fixture(scope="module")
def encoder():
    encoder = FieldEncoder(FEATURES)
    encoder.build()
    return encoder


def test_ids_of_another_type_change_no_others():
    """Joined with floats, 2^24 + 1 would become 2^24."""
    encoder = FieldEncoder(
        [
            Categorical("a", hash_buckets=20_000_000, embedding_dim=1),
            Categorical("b", vocabulary=tuple("abc"), embedding_dim=2),
        ]
    )
    encoder.build()
    ids = np.array([2**24 + 1, 2**24 + 3], "int32")
    expected = ops.convert_to_numpy(encoder.table("a"))[ids]
    for kind in ("int32", "int64", "float32", "uint8"):
        fields = encoder({"a": ids, "b": np.array([1, 3], kind)})
        np.testing.assert_array_equal(ops.convert_to_numpy(fields["a"]), expected)
        rows = ops.convert_to_numpy(encoder.table("b"))[[1, 3]]
        np.testing.assert_array_equal(ops.convert_to_numpy(fields["b"]), rows)


def test_fields_equal_the_oracle(encoder):
    inputs = random_inputs(FEATURES)
    fields = encoder(inputs)
    assert list(fields) == [f.name for f in FEATURES]
    for feature in FEATURES:
        expected = [oracle(encoder, feature, inputs, i) for i in range(12)]
        np.testing.assert_allclose(dense(fields[feature.name]), expected, rtol=2e-5, atol=1e-6)


def test_widths_shapes_and_symbolic_call_agree(encoder):
    inputs = random_inputs(FEATURES)
    symbolic = {k: keras.Input(v.shape[1:], dtype=v.dtype) for k, v in inputs.items()}
    for name, field in encoder(symbolic).items():
        assert field.shape == (None, encoder.field_widths[name])
    for name, field in encoder(inputs).items():
        assert tuple(field.shape) == (12, encoder.field_widths[name])


def test_tables_of_one_width_are_one_weight(encoder):
    assert [tuple(t.shape) for t in encoder.tables] == [(4 + 10 + 6 + 4, 4), (6 + 6, 6)]


def test_fused_tables_equal_one_layer_per_feature(encoder):
    inputs = random_inputs(FEATURES)
    together = encoder(inputs)
    for feature in FEATURES:
        if not isinstance(feature, Categorical):
            continue
        alone = FieldEncoder([feature])
        alone.build()
        alone.tables[0].assign(encoder.table(feature.name))
        field = alone({feature.name: inputs[feature.name]})[feature.name]
        np.testing.assert_array_equal(dense(field), dense(together[feature.name]))


def test_sequences_learn_the_table_of_their_feature():
    features = [
        Categorical("c", vocabulary=("a", "b"), embedding_dim=2),
        Sequence("s", of="c", max_length=2),
    ]
    encoder = FieldEncoder(features)
    encoder.build()
    assert len(encoder.weights) == 1
    fields = encoder({"c": np.array([2]), "s": np.array([[2, -1]])})
    np.testing.assert_array_equal(dense(fields["c"]), dense(fields["s"]))


@pytest.mark.parametrize("bad", [-1, -2, 10, 15, 2**31 - 1, -(2**31)])
def test_ids_outside_the_table_read_row_0(encoder, bad):
    inputs = random_inputs(FEATURES)
    inputs["h"] = np.full(12, bad, "int32")
    expected = dense(encoder.table("h"))[0]
    expected = expected / np.linalg.norm(expected)
    fields = encoder(inputs)
    np.testing.assert_allclose(dense(fields["h"]), np.tile(expected, (12, 1)), rtol=1e-5)


@keras.saving.register_keras_serializable(package="test_field_encoder")
class Total(keras.Model):
    """Sums all fields, so that training shows the gradients of an encoder."""

    def __init__(self, encoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder

    def call(self, inputs, training=None):
        fields = self.encoder(inputs, training=training).values()
        return sum(ops.sum(field, axis=-1, keepdims=True) for field in fields)


def trained(encoder, inputs, value=1.0):
    model = Total(encoder)
    model.compile(keras.optimizers.SGD(value), loss=lambda y, z: ops.mean(z - y))
    model.train_on_batch(inputs, np.zeros((len(next(iter(inputs.values()))), 1), "float32"))
    return model


def test_gradients_stay_finite_and_reach_row_0_and_nothing_else_for_bad_ids():
    features = [
        Categorical("c", vocabulary=("a", "b"), embedding_dim=2),
        Numeric("n", mean=0, std=1),
    ]
    encoder = FieldEncoder([*features, Categorical("d", hash_buckets=2, embedding_dim=2)])
    encoder.build()
    before = dense(encoder.tables[0])
    inputs = {"c": np.array([-5, 77]), "n": np.zeros(2, "float32"), "d": np.array([3, 2])}
    trained(encoder, {k: v.astype("float32" if k == "n" else "int32") for k, v in inputs.items()})
    moved = np.abs(dense(encoder.tables[0]) - before).sum(axis=1) > 0
    assert moved.tolist() == [True, False, False, True, False, True]  # c: row 0; d: rows 0 and 2


def test_padding_is_never_read():
    features = [
        Categorical("c", hash_buckets=3, embedding_dim=2, max_length=3),
        Categorical("d", hash_buckets=3, embedding_dim=2),
        Sequence("s", of="d", max_length=3, encoder=Pooling("max")),
        Sequence("t", of="d", max_length=3, encoder=TransAct(first_k=2, dropout=0.0)),
    ]
    encoder = FieldEncoder(features)
    encoder.build()
    inputs = {name: np.array([[2, 1, -1]] * 2, "int32") for name in ("c", "s", "t")}
    inputs["d"] = np.array([1, 1], "int32")
    before = {k: dense(v) for k, v in encoder(inputs).items()}
    table = dense(encoder.tables[0])
    table[[0, 4]] += 100.0  # row 0 of both, which padding points to
    encoder.tables[0].assign(table)
    for name, field in encoder(inputs).items():
        np.testing.assert_allclose(dense(field), before[name], rtol=1e-4, atol=1e-5)


def test_all_padding_is_finite_with_finite_gradients():
    features = [
        Categorical("c", hash_buckets=3, embedding_dim=2),
        Categorical("m", hash_buckets=3, embedding_dim=2, max_length=2, l2_normalize=True),
        Sequence("s", of="c", max_length=3, encoder=Pooling("max"), l2_normalize=True),
        Sequence(
            "t",
            of="c",
            max_length=3,
            time="t",
            request_time="now",
            encoder=TransAct(first_k=2, time_window=60.0),
            l2_normalize=True,
        ),
    ]
    encoder = FieldEncoder(features)
    inputs = {
        "c": np.array([1, 2], "int32"),
        "m": np.full((2, 2), -1, "int32"),
        "s": np.full((2, 3), -1, "int32"),
        "t": np.full((2, 3), -1, "int32"),
        "t.age": np.zeros((2, 3), "float32"),
    }
    fields = encoder(inputs)
    assert all(np.isfinite(dense(field)).all() for field in fields.values())
    assert not dense(fields["m"]).any()
    assert not dense(fields["s"]).any()
    trained(encoder, inputs)
    assert all(np.isfinite(dense(w)).all() for w in encoder.weights if "float" in w.dtype)


def test_zero_vectors_are_normalised_to_zero_with_finite_gradients():
    features = [
        Embedding("e", dim=2, l2_normalize=True),
        Embedding("p", dim=2, project_to=3, l2_normalize=True),
    ]
    encoder = FieldEncoder(features)
    zeros = {"e": np.zeros((2, 2), "float32"), "p": np.zeros((2, 2), "float32")}
    assert not any(dense(field).any() for field in encoder(zeros).values())
    trained(encoder, zeros)
    assert np.isfinite(dense(encoder.projections["p"])).all()


def test_transact_reads_tokens_mask_and_ages():
    features = [
        Categorical("c", vocabulary=(1, 2, 3), embedding_dim=4),
        Sequence(
            "t",
            of="c",
            max_length=4,
            action="a",
            action_vocabulary=("x",),
            action_dim=2,
            candidate="c",
            time="w",
            request_time="now",
            encoder=TransAct(first_k=2, time_window=100.0),
        ),
    ]
    encoder = FieldEncoder(features)
    encoder.build()
    inputs = {
        "c": np.array([3, 1], "int32"),
        "t": np.array([[1, 2, 9, -1], [-1] * 4], "int32"),
        "t.action": np.array([[1, 0, 5, -1], [-1] * 4], "int32"),
        "t.age": np.array([[5.0, -1.0, 3.0, 0.0], [0.0] * 4], "float32"),
    }
    table, kinds = dense(encoder.table("c")), dense(encoder.action_tables["t"])
    tokens = np.stack(
        [
            np.concatenate(
                [
                    rows(table, inputs["t"][i]),
                    rows(kinds, inputs["t.action"][i]),
                    rows(table, [inputs["c"][i]] * 4),
                ],
                axis=1,
            )
            for i in range(2)
        ]
    )
    layer = encoder.transformers["t"]
    expected = layer([tokens, inputs["t"] >= 0, inputs["t.age"]], training=False)
    field = encoder(inputs, training=False)["t"]
    assert tuple(field.shape) == (2, 3 * 10)
    np.testing.assert_allclose(dense(field), dense(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["l1", "l2", "l1_l2", "orthogonal"])
def test_regularizers_sum_over_the_features(kind):
    make = {
        "l1": lambda: keras.regularizers.L1(0.1),
        "l2": lambda: keras.regularizers.L2(0.1),
        "l1_l2": lambda: keras.regularizers.L1L2(0.1, 0.2),
        "orthogonal": lambda: keras.regularizers.OrthogonalRegularizer(0.1),
    }[kind]
    features = [
        Categorical("a", hash_buckets=3, embedding_dim=2, regularizer=make()),
        Categorical("b", hash_buckets=4, embedding_dim=2, regularizer=make()),
        Categorical("free", hash_buckets=4, embedding_dim=2),
        Embedding("e", dim=3, project_to=2, regularizer=make()),
    ]
    encoder = FieldEncoder(features)
    encoder.build()
    own = [encoder.table("a"), encoder.table("b"), encoder.projections["e"]]
    expected = sum(float(dense(make()(ops.convert_to_tensor(weight)))) for weight in own)
    assert float(dense(sum(encoder.losses))) == pytest.approx(expected, rel=1e-5)


def test_each_feature_keeps_its_initializer():
    features = [
        Categorical("zeros", hash_buckets=3, embedding_dim=4, initializer="zeros"),
        Categorical("ones", hash_buckets=2, embedding_dim=4, initializer="ones"),
        Categorical("one", hash_buckets=50, embedding_dim=4),
        Categorical("two", hash_buckets=50, embedding_dim=4),
        Embedding("e", dim=2, project_to=2, initializer="identity"),
    ]
    encoder = FieldEncoder(features)
    encoder.build()
    assert not dense(encoder.table("zeros")).any()
    assert (dense(encoder.table("ones")) == 1).all()
    assert (dense(encoder.table("one")) != dense(encoder.table("two"))).all()
    np.testing.assert_array_equal(dense(encoder.projections["e"]), np.eye(2))


def test_seeds_give_equal_weights_twice():
    def weights():
        keras.utils.set_random_seed(5)
        encoder = FieldEncoder(FEATURES)
        encoder.build()
        return [dense(w) for w in encoder.weights]

    for one, other in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_mixed_precision_casts_what_is_looked_up_and_keeps_float32_weights():
    encoder = FieldEncoder(FEATURES, dtype="mixed_bfloat16")
    fields = encoder(random_inputs(FEATURES))
    assert {keras.backend.standardize_dtype(f.dtype) for f in fields.values()} == {"bfloat16"}
    assert {w.dtype for w in encoder.weights} == {"float32"}
    assert not encoder.autocast  # Keras would cast whole tables in every step


def with_transact():
    sequence = Sequence("x.y", of="c", max_length=4, encoder=TransAct(first_k=1, num_layers=1))
    return [*FEATURES, sequence]


def test_configuration_round_trip():
    encoder = FieldEncoder(with_transact(), name="fields")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(encoder)))
    back = keras.saving.deserialize_keras_object(config)
    assert back.features == encoder.features
    assert back.name == "fields"


def test_keras_file_keeps_the_fields(tmp_path):
    inputs = random_inputs(with_transact())
    model = Total(FieldEncoder(with_transact()))
    expected = dense(model(inputs))
    symbolic = {k: keras.Input(v.shape[1:], dtype=v.dtype, name=k) for k, v in inputs.items()}
    outputs = model.encoder(symbolic)
    functional = keras.Model(symbolic, outputs)
    functional.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    fields = loaded(inputs)
    total = sum(dense(field).sum(axis=-1, keepdims=True) for field in fields.values())
    np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-5)


def test_work_counts_every_parameter():
    encoder = FieldEncoder(with_transact())
    work = encoder.work()
    encoder.build()
    assert work.parameters == sum(int(np.prod(w.shape)) for w in encoder.trainable_weights)
    assert not work.unknown
    projection = FieldEncoder([Embedding("e", dim=5, project_to=3)]).work()
    assert (projection.parameters, projection.matmul_flops) == (15, 30)


def test_batch_of_one_and_values_as_a_column(encoder):
    inputs = random_inputs(FEATURES)
    everything = encoder(inputs)
    one = encoder({k: v[4:5] for k, v in inputs.items()})
    column = encoder({k: v[:, None] if v.ndim == 1 else v for k, v in inputs.items()})
    for name, field in everything.items():
        np.testing.assert_allclose(dense(one[name])[0], dense(field)[4], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(dense(column[name]), dense(field))


def test_unknown_table_is_refused(encoder):
    with pytest.raises(ValueError, match=r"one of the features with a table, .*Received: 'n'"):
        encoder.table("n")


def test_heads_must_divide_the_width_of_an_event():
    features = [
        Categorical("c", hash_buckets=3, embedding_dim=4),
        Sequence("s", of="c", max_length=3, encoder=TransAct(first_k=1, num_heads=3)),
    ]
    with pytest.raises(ValueError, match="`num_heads` must divide"):
        FieldEncoder(features).build()


def test_set_table_reaches_one_feature_only():
    features = [
        Categorical(name, vocabulary=("x", "y"), embedding_dim=2) for name in ("a", "b", "c")
    ]
    encoder = FieldEncoder(features)
    encoder.build(None)
    before = {name: keras.ops.convert_to_numpy(encoder.table(name)).copy() for name in "abc"}
    encoder.set_table("b", np.full((3, 2), 7.0, "float32"))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(encoder.table("b")), 7.0)
    for name in "ac":
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(encoder.table(name)), before[name])
    with pytest.raises(ValueError, match=r"`rows` of feature 'b' must have shape \(3, 2\)"):
        encoder.set_table("b", np.zeros((2, 2)))


def test_a_large_table_of_the_default_width_is_warned_of():
    pins = Categorical("pin", hash_buckets=300_000)
    with pytest.warns(UserWarning, match=r"'pin' has no `embedding_dim`: 300,001 rows.*19,200,064"):
        warn_of_large_tables([Numeric("age"), pins])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = Categorical("pin", hash_buckets=300_000, embedding_dim=64)
        warn_of_large_tables([chosen, Categorical("small", hash_buckets=100_000)])
