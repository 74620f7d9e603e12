"""FinalMLP and FINAL: the sizes that BARS logs on Frappe, contexts, distillation."""

import keras
import numpy as np
import pytest
from keras import ops

import kranking as kr
from kranking import architectures
from kranking.losses import SelfDistillation

# Rows of the tables in BARS's Frappe_x1 of 10 fields, padding and out-of-vocabulary rows included.
FRAPPE = {
    "user": 956,
    "item": 4084,
    "daytime": 9,
    "weekday": 9,
    "isweekend": 4,
    "homework": 5,
    "cost": 4,
    "weather": 11,
    "country": 82,
    "city": 235,
}


def categoricals(rows, dim):
    """Features whose tables have these numbers of rows; row 0 is of what is not in the vocabulary."""
    return [
        kr.features.Categorical(name, vocabulary=tuple(range(1, count)), embedding_dim=dim)
        for name, count in rows.items()
    ]


TABLES = 5_399 * 10
SMALL = {"user": 5, "tag": 3, "item": 7}
TASKS = [kr.Task("save"), kr.Task("hide", weight=0.5)]


def rows_of(model, size=16):
    rng = np.random.default_rng(0)
    x = {f.name: rng.integers(0, f.num_rows, size).astype("int32") for f in model.features}
    y = {t.name: rng.integers(0, 2, size).astype("float32") for t in model.tasks}
    return kr.features.as_model_inputs(x), y


def build(name, rows=SMALL, dim=4, tasks=TASKS, **arguments):
    return architectures.get(name).build(categoricals(rows, dim), tasks, **arguments)


def bars(name, **arguments):
    model = build(name, FRAPPE, 10, TASKS[:1], **arguments)
    assert sum(f.num_rows for f in model.features) * 10 == TABLES
    return model.work().parameters


def test_size_of_final_mlp_on_frappe():
    """BARS logs 253,392: its two linear terms have a bias each, which add up to our one."""
    streams = (100 * 400 + 400 + 800) + (100 * 100 + 100 + 200)  # with their batch norms
    gates = (956 + 4084) * 10 + 2 * (10 * 400 + 400 + 400 * 100 + 100)
    fusion = 400 + 100 + 1 + 400 * 100 // 5
    assert TABLES + streams + gates + fusion == 253_392 - 1
    size = bars(
        "final_mlp",
        units1=(400,),
        units2=(100,),
        batch_norm=True,
        num_heads=5,
        fs_hidden_units=(400,),
        fs1_context=["user"],
        fs2_context=["item"],
    )
    assert size == 253_392 - 1


def test_size_of_final_with_one_block_on_frappe():
    size = bars("final_net", block_type="1B", units1=(400, 400), use_field_gate=False)
    assert size == 256_791


def test_size_of_final_with_two_blocks_on_frappe():
    size = bars("final_net", units1=(400, 400), units2=(400,), activation="relu")
    assert size == 338_502


@pytest.mark.parametrize("tasks", [1, 2])
def test_sizes_by_task(tasks):
    heads = {"units1": (8,), "units2": (4,)}
    model = build("final_mlp", tasks=TASKS[:tasks], use_fs=False, num_heads=2, **heads)
    assert model.heads.work((None, 12)).parameters == tasks * (8 + 4 + 1 + 8 * 4 // 2)
    model = build("final_net", tasks=TASKS[:tasks], **heads)
    assert model.heads.work((None, 12)).parameters == tasks * (8 + 4 + 2)


@pytest.mark.parametrize(
    "arguments",
    [
        {"fs1_context": ["item"]},
        {"fs2_context": ["tag", "user"]},
        {"fs1_context": ["user"], "fs2_context": ["item"], "num_heads": 4},
        {"use_fs": False},
    ],
    ids=str,
)
def test_final_mlp_trains_and_survives_a_file(arguments, tmp_path):
    model = build("final_mlp", units1=(8,), units2=(4,), **arguments)
    check_life(model, tmp_path)


def check_life(model, tmp_path):
    """An eager step: `integration` trains every architecture compiled."""
    x, y = rows_of(model)
    model.compile("adam", weighted_metrics=None, run_eagerly=True, jit_compile=False)
    assert np.isfinite(model.train_on_batch(x, y)).all()
    before = hide(model, x)
    alone = hide(model, {name: column[3:4] for name, column in x.items()})
    np.testing.assert_allclose(alone, before[3:4], rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(hide(again, x), before, rtol=1e-5, atol=1e-6)


def hide(model, x):
    return ops.convert_to_numpy(model(x)["hide"])


def test_contexts_are_found_by_name():
    several = kr.features.Categorical("words", vocabulary=("a", "b"), max_length=2, embedding_dim=4)
    number = kr.features.Numeric("age", mean=0.0, std=1.0)
    user, tag, item = categoricals(SMALL, 4)
    wide = kr.features.Categorical("wide", vocabulary=("x", "y"), embedding_dim=6)
    model = architectures.final_mlp(
        [several, user, number, tag, wide, item],
        TASKS,
        units1=(8,),
        units2=(4,),
        fs1_context=["item", "wide"],
    )
    first, second = model.blocks[0].branches
    assert (first.context, first.context_dims) == ((3, 2), (4, 6))
    assert [table.input_dim for table in first.tables] == [7, 3]
    assert second.context == ()
    assert tuple(second.logits.shape) == (4 + 4 + 1 + 4 + 6 + 4,)


@pytest.mark.each_backend
def test_gates_start_at_one():
    x, _ = rows_of(build("final_mlp"))
    heads = {"units1": (8,), "units2": (4,)}
    gated = build("final_mlp", fs1_context=["user"], **heads)
    plain = build("final_mlp", use_fs=False, **heads)
    for source, target in (
        (gated.encoder, plain.encoder),
        (gated.heads, plain.heads),
        *zip(
            (branch.block for branch in gated.blocks[0].branches),
            plain.blocks[0].branches,
            strict=True,
        ),
    ):
        target.set_weights(source.get_weights())
    np.testing.assert_allclose(
        ops.convert_to_numpy(gated(x)["save"]), ops.convert_to_numpy(plain(x)["save"]), atol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fs1_context": ["nobody"]}, r"`fs1_context` must be a list of names .*'tag', 'item'\]"),
        ({"fs2_context": "user"}, r"`fs2_context` must be a list of names .*Received: .*'user'"),
        (
            {"use_fs": False, "fs1_context": ["user"]},
            r"are inputs of the gates and require use_fs=True",
        ),
        ({"num_heads": 3}, r"`num_heads` must divide the widths of both vectors"),
    ],
    ids=str,
)
def test_final_mlp_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        build("final_mlp", **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"block_type": "1B"},
        {"block_type": "1B", "use_field_gate": False},
        {"use_field_gate": False, "merge": "sum", "activation": "relu", "batch_norm": False},
    ],
    ids=str,
)
def test_final_net_trains_and_survives_a_file(arguments, tmp_path):
    check_life(build("final_net", units1=(8, 4), units2=(6,), **arguments), tmp_path)


@pytest.mark.each_backend
def test_two_blocks_learn_from_their_mean():
    model = build("final_net", units1=(8,), units2=(4,))
    assert isinstance(model.heads.auxiliary_loss, SelfDistillation)
    assert model.heads.widths == (8, 4)
    x, y = rows_of(model)
    model.compile(keras.optimizers.SGD(0.0), weighted_metrics=None)
    logs = model.fit(x, y, batch_size=16, verbose=0).history
    ordinary = logs["save_loss"][0] + 0.5 * logs["hide_loss"][0]
    # Two parts, each with a cross-entropy of at least the entropy of what it learns.
    assert logs["loss"][0] > ordinary + 1.5 * 2 * 0.3
    assert model.heads.auxiliary == {}
    without = build("final_net", units1=(8,), units2=(4,), auxiliary_loss=None)
    assert without.heads.auxiliary_loss is None


def test_final_net_rejects():
    with pytest.raises(ValueError, match=r"`block_type` must be one of \['1B', '2B'\]"):
        build("final_net", block_type="3B")
    with pytest.raises(ValueError, match=r"`units` must be even with merge='concat'"):
        build("final_net", units1=(7,))


def test_tables_of_the_gates_are_regularised_as_the_features_are():
    features = [
        kr.features.Categorical(
            name, hash_buckets=5, embedding_dim=3, regularizer=keras.regularizers.L2(0.5)
        )
        for name in ("user", "item")
    ]
    arguments = {"units1": (4,), "units2": (4,), "fs1_context": ["user"], "fs2_context": ["item"]}
    model = architectures.final_mlp(features, [kr.Task("save")], **arguments)
    tables = [ops.convert_to_numpy(w.value) for w in model.weights if "embeddings" in w.path]
    assert sum(table.size for table in tables) == 2 * (6 + 6) * 3
    expected = sum(0.5 * float((table**2).sum()) for table in tables)
    assert float(ops.convert_to_numpy(sum(model.losses))) == pytest.approx(expected, rel=1e-5)
