import json
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import keras
import numpy as np
import pytest

from kranking.features import (
    Categorical,
    Embedding,
    Numeric,
    Pooling,
    Sequence,
    Task,
    TransAct,
    default_embedding_dim,
    field_widths,
    from_json,
    schema_hash,
    to_json,
)
from kranking.features._tables import plan_tables
from kranking.features.internal import check_features, check_tasks, from_config, to_config

EVERY = [
    Categorical("a/b é", side="user", column="col", vocabulary=("x", "ü"), embedding_dim=3),
    Categorical("ints", vocabulary=(3, -1), min_count=2, max_size=9, l2_normalize=True),
    Categorical("hash", hash_buckets=7, max_length=4, separator=",", pooling="max"),
    Categorical(
        "seeded",
        hash_buckets=7,
        initializer=keras.initializers.RandomNormal(stddev=0.1, seed=3),
        regularizer=keras.regularizers.L1L2(0.1, 0.2),
    ),
    Numeric("n", side="item", mean=1.5, std=0.0, nulls="mean", bounds=(0, 3)),
    Numeric("cut", transform="bucketize", boundaries=(0, 1.5), num_buckets=3, embedding_dim=2),
    Numeric("scale", transform="scale", bounds=(-1, 1), nulls=0.5),
    Embedding("e", dim=4, project_to=2, nulls="zeros", regularizer="l2"),
    Sequence("s", of="ints", max_length=5, order="newest_first", encoder=Pooling("max")),
    Sequence(
        "t",
        of="ints",
        max_length=12,
        action="act",
        action_vocabulary=("like",),
        action_dim=3,
        time="times",
        request_time="now",
        time_unit="ms",
        candidate="ints",
        encoder=TransAct(num_layers=1, time_window=60.0, first_k=2),
    ),
    Task("z/ü", weight=0.5, label="col", nulls="mask"),
]


def names(declaration):
    return declaration.name


@pytest.mark.parametrize("declaration", EVERY, ids=names)
def test_json_round_trip(declaration):
    (back,) = from_json(to_json([declaration]))
    assert back == declaration
    assert type(back) is type(declaration)
    assert from_config(json.loads(json.dumps(to_config(declaration)))) == declaration
    assert schema_hash([back]) == schema_hash([declaration])


def test_every_argument_but_defaults_is_in_the_configuration():
    assert to_config(Numeric("n")) == {"kind": "Numeric", "name": "n"}
    assert to_config(Numeric("n", nulls=0.0))["nulls"] == 0.0


def test_observed_travels_but_changes_neither_equality_nor_hash():
    plain = Numeric("n", mean=0.0, std=1.0)
    counted = replace(plain, observed={"rows": 3, "nulls": 1, "out_of_vocabulary": 0})
    assert from_json(to_json([counted]))[0].observed == counted.observed
    assert counted == plain
    assert schema_hash([counted]) == schema_hash([plain])


def test_hash_sees_every_argument_and_the_order():
    features = [d for d in EVERY if not isinstance(d, Task)]
    base = schema_hash(features)
    assert schema_hash(features[::-1]) != base
    changes = [
        replace(features[0], side="item"),
        replace(features[0], column="other"),
        replace(features[0], vocabulary=("ü", "x")),
        replace(features[0], l2_normalize=True),
        replace(features[0], initializer="zeros"),
    ]
    hashes = {schema_hash([change, *features[1:]]) for change in changes}
    assert len(hashes | {base}) == len(changes) + 1


def test_equal_declarations_have_equal_hashes():
    pairs = [
        (Numeric("n", mean=0, std=1), Numeric("n", mean=0.0, std=1.0)),
        (Task("t", weight=2), Task("t", weight=2.0)),
        (Categorical("c", vocabulary=["a"]), Categorical("c", vocabulary=np.array(["a"]))),
    ]
    for one, other in pairs:
        assert one == other
        assert schema_hash([one]) == schema_hash([other])


def test_hash_does_not_depend_on_the_order_of_keys():
    config = to_config(EVERY[3])
    turned = dict(reversed(config.items()))
    turned["initializer"] = dict(reversed(config["initializer"].items()))
    assert schema_hash([from_config(turned)]) == schema_hash([EVERY[3]])


@pytest.mark.once
@pytest.mark.slow
def test_hash_is_the_same_in_another_process():
    code = (
        "import sys; from kranking.features import from_json, schema_hash; "
        "print(schema_hash(from_json(sys.stdin.read())))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=to_json(EVERY),
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONIOENCODING": "utf-8"},
        check=True,
    )
    assert done.stdout.split()[-1] == schema_hash(EVERY)


def test_json_of_another_kind_or_version_is_refused():
    with pytest.raises(ValueError, match=r"`kind` must be one of.*Received: 'Other'"):
        from_json('[{"kind": "Other", "name": "a"}]')
    with pytest.raises(ValueError, match=r"`kind` must be one of.*Received: None"):
        from_json('[{"name": "a"}]')
    with pytest.raises(ValueError, match=r"A Numeric has no argument 'newer'.*another version"):
        from_json('[{"kind": "Numeric", "name": "a", "newer": 1}]')


def test_declarations_are_frozen_and_keyword_only():
    with pytest.raises(FrozenInstanceError):
        EVERY[0].name = "other"
    with pytest.raises(TypeError):
        Categorical("c", "user")


def rejected(cls, case, message, /, **arguments):
    return pytest.param(cls, arguments, message, id=f"{cls.__name__}-{case}")


REJECTED = [
    *(
        rejected(cls, f"name-{value!r}", r"`name` must be a non-empty string", name=value, **more)
        for cls, more in (
            (Categorical, {}),
            (Numeric, {}),
            (Embedding, {"dim": 2}),
            (Sequence, {"of": "c", "max_length": 2}),
            (Task, {}),
        )
        for value in ("", 3, None)
    ),
    rejected(Numeric, "side", r"`side` must be one of \['user', 'item', 'context'\]", side="pin"),
    *(
        rejected(
            Categorical,
            f"{name}-{value!r}",
            f"`{name}` must be a positive integer",
            **{name: value},
        )
        for name in ("min_count", "max_size", "hash_buckets", "max_length", "embedding_dim")
        for value in (0, 1.5, True, "2")
    ),
    rejected(Categorical, "pooling", r"`pooling` must be one of", pooling="median"),
    rejected(
        Categorical,
        "separator",
        r"`separator`.*creates lists and requires `max_length`",
        separator=",",
    ),
    rejected(
        Categorical,
        "both",
        r"either `vocabulary` or `hash_buckets`",
        vocabulary=("a",),
        hash_buckets=2,
    ),
    rejected(Categorical, "mixed", r"only strings or only integers", vocabulary=("a", 1)),
    rejected(Categorical, "floats", r"only strings or only integers.*'float'", vocabulary=(1.5,)),
    rejected(
        Categorical,
        "twice",
        r"must not contain duplicates. Received twice: 2",
        vocabulary=(1, 2, 2),
    ),
    rejected(Categorical, "text", r"must be a list of values. Received: 'abc'", vocabulary="abc"),
    rejected(Categorical, "set", r"must be a list of values. Received: {'a'}", vocabulary={"a"}),
    rejected(
        Categorical, "dict", r"must be a list of values. Received: {'a': 3}", vocabulary={"a": 3}
    ),
    rejected(Categorical, "empty", r"mean null and have row 0", vocabulary=("", "a")),
    rejected(Categorical, "least", r"mean null.*-2147483648", vocabulary=(-(2**31), 1)),
    rejected(
        Categorical,
        "initializer",
        r"must have a Keras initializer.*'nonsense'",
        initializer="nonsense",
    ),
    rejected(
        Numeric, "regularizer", r"must have a Keras initializer.*'nonsense'", regularizer="nonsense"
    ),
    rejected(Numeric, "transform", r"`transform` must be one of", transform="sqrt"),
    rejected(Numeric, "buckets", r"`num_buckets` must be an integer of at least 2", num_buckets=1),
    rejected(Numeric, "many", r"`num_buckets` must be .*at most 65,536", num_buckets=65_537),
    rejected(Numeric, "nulls", r"`nulls` must be one of \['refuse', 'mean'\]", nulls="drop"),
    rejected(Numeric, "nulls-nan", r"`nulls` must be a number", nulls=float("nan")),
    rejected(Numeric, "mean", r"`mean` must be a finite number", mean=float("inf")),
    rejected(Numeric, "std", r"`std` must be a number in \[0, inf\]", std=-1.0),
    *(
        rejected(Numeric, f"bounds-{value!r}", r"two finite numbers, low < high", bounds=value)
        for value in ((1, 1), (2, 1), (1,), "ab", 3, (0, float("inf")))
    ),
    rejected(Numeric, "no-bounds", r"with `scale` requires `bounds`", transform="scale"),
    rejected(
        Numeric,
        "scale-mean",
        r"`scale` has no mean",
        transform="scale",
        bounds=(0, 1),
        nulls="mean",
    ),
    *(
        rejected(
            Numeric, f"boundaries-{value!r}", r"finite, increasing and not empty", boundaries=value
        )
        for value in ((), (1, 1), (2, 1), (0, float("nan")), (float("inf"),), "x")
    ),
    rejected(Embedding, "dim", r"`dim` must be a positive integer", dim=0),
    rejected(Embedding, "project", r"`project_to` must be a positive integer", dim=2, project_to=0),
    rejected(
        Embedding, "nulls", r"`nulls` must be one of \['refuse', 'zeros'\]", dim=2, nulls="mean"
    ),
    rejected(Task, "weight", r"`weight` must be a number in \[0, inf\]", weight=-1),
    rejected(Task, "nulls", r"`nulls` must be one of \['refuse', 'mask'\]", nulls="drop"),
]


@pytest.mark.parametrize(("cls", "arguments", "message"), REJECTED)
def test_rejects(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**{"name": "f", **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_length": 0}, r"`max_length` must be a positive integer"),
        ({"action_dim": 0}, r"`action_dim` must be a positive integer"),
        ({"order": "random"}, r"`order` must be one of"),
        ({"time_unit": "h"}, r"`time_unit` must be one of"),
        ({"time": "t"}, r"Feature 's' must have both `time` and `request_time`"),
        ({"request_time": "t"}, r"Feature 's' must have both `time` and `request_time`"),
        ({"action_vocabulary": ("a", 1)}, r"only strings or only integers"),
        ({"encoder": "mean"}, r"`encoder` of feature 's' must be Pooling"),
        ({"encoder": TransAct(first_k=4)}, r"`first_k` .* must be at most `max_length`.*first_k=4"),
        (
            {"encoder": TransAct(first_k=1, time_window=9.0)},
            r"`time_window` of feature 's' requires `time` and `request_time`",
        ),
    ],
)
def test_rejects_sequences(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sequence("s", of="c", **{"max_length": 3, **arguments})


def test_rejects_encoders():
    with pytest.raises(ValueError, match="`mode` must be one of"):
        Pooling("median")
    for name in ("num_layers", "num_heads", "feedforward_dim", "first_k"):
        with pytest.raises(ValueError, match=f"`{name}` must be a positive integer"):
            TransAct(**{name: 0})
    with pytest.raises(ValueError, match="`dropout` must be a number"):
        TransAct(dropout=2.0)


BOUNDS = {
    "max_length": 100_000,
    "hash_buckets": 10**9,
    "embedding_dim": 65_536,
    "dim": 65_536,
    "project_to": 65_536,
    "action_dim": 65_536,
    "first_k": 65_536,
    "feedforward_dim": 65_536,
}


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda **a: Categorical("c", **a), ["max_length", "hash_buckets", "embedding_dim"]),
        (lambda **a: Numeric("n", **a), ["embedding_dim"]),
        (lambda **a: Embedding("e", **{"dim": 2, **a}), ["dim", "project_to"]),
        (lambda **a: Sequence("s", of="c", **{"max_length": 2, **a}), ["max_length", "action_dim"]),
        (TransAct, ["first_k", "feedforward_dim"]),
    ],
)
def test_sizes_are_bounded(make, names):
    for name in names:
        assert getattr(make(**{name: BOUNDS[name]}), name) == BOUNDS[name]
        message = rf"`{name}` must be .*integer, at most {BOUNDS[name]:,}.*Received: {name}="
        for value in (BOUNDS[name] + 1, 10**18):
            with pytest.raises(ValueError, match=message):
                make(**{name: value})
            if name == "max_length":
                config = {**to_config(make()), name: value}
                with pytest.raises(ValueError, match=message):
                    from_config(config)


def test_the_size_of_a_row_is_bounded():
    """Inputs and vectors of 4 + 1 + (2 + 16) times 100,000, and 7,000² for the attention."""
    table = Categorical("c", hash_buckets=3, embedding_dim=4)
    events = Sequence("s", of="c", max_length=100_000, action="a", action_dim=16)
    attention = Sequence("t", of="c", max_length=7_000, encoder=TransAct())
    check_features([table, events])
    check_features([table, attention])
    received = (
        r"Received: 51,235,005 values, of which 't' has 49,035,000, 's' has 2,200,000, 'c' has 5"
    )
    with pytest.raises(ValueError, match=rf"at most 50,000,000 values.*{received}"):
        check_features([table, events, attention])
    with pytest.raises(ValueError, match=r"'l' has 6,553,700,000"):
        check_features([Categorical("l", hash_buckets=3, max_length=100_000, embedding_dim=65_536)])


def test_tables_of_one_width_are_bounded():
    tables = [Categorical(n, hash_buckets=10**9, embedding_dim=4) for n in "abc"]
    plan_tables([*tables[:2], replace(tables[2], embedding_dim=8)])
    with pytest.raises(ValueError, match=r"fewer than 2³¹ rows together.*3,000,000,003 rows of w"):
        plan_tables(tables)


def test_rules_between_declarations():
    table = Categorical("c", hash_buckets=3)
    lists = Categorical("l", hash_buckets=3, max_length=2)
    cases = [
        ([], "at least one declaration"),
        (["c"], r"must be declarations.*Received: 'c'"),
        ([table, Numeric("c")], "Two features have a model input called 'c'"),
        (
            [table, Numeric("s.action"), Sequence("s", of="c", max_length=2, action="a")],
            r"model input called 's\.action'",
        ),
        (
            [Sequence("s", of="d", max_length=2)],
            r"`of` of sequence 's' must be the name of a Categorical",
        ),
        (
            [table, Numeric("n"), Sequence("s", of="c", max_length=2, candidate="n")],
            r"`candidate` of sequence 's' must be the name of a Categorical.*candidate='n'.*\['c'\]",
        ),
        ([table, lists, Sequence("s", of="c", max_length=2, candidate="l")], "one value per row"),
    ]
    for features, message in cases:
        with pytest.raises(ValueError, match=message):
            check_features(features)
    for tasks in ((), ("save",), [None]):
        with pytest.raises(ValueError, match=r"at least one kranking\.Task"):
            check_tasks(tasks)
    with pytest.raises(ValueError, match=r"different names. Received: \['a', 'a'\]"):
        check_tasks([Task("a"), Task("a")])


def test_widths():
    features = [d for d in EVERY if not isinstance(d, Task)]
    ints = features[1].width
    assert field_widths(features) == {
        "a/b é": 3,
        "ints": ints,
        "hash": features[2].width,
        "seeded": features[3].width,
        "n": 1,
        "cut": 2,
        "scale": 1,
        "e": 2,
        "s": ints,
        "t": 3 * (2 * ints + 3),
    }


def test_default_embedding_dim_grows_slowly_with_the_cardinality():
    dims = [default_embedding_dim(v) for v in range(1, 3000)] + [default_embedding_dim(10**9)]
    assert dims == sorted(dims)
    assert set(dims) == {4, 8, 16, 32, 64}


def test_sides_and_columns():
    feature = EVERY[9]
    assert feature.columns == ("t", "act", "times", "now")
    assert EVERY[0].columns == ("col",)
    assert (EVERY[10].columns, Task("save").columns) == (("col",), ("save",))


def test_a_sequence_with_a_candidate_is_not_the_users():
    with pytest.raises(ValueError, match="depends on the item and must have side='item'"):
        Sequence("s", of="c", max_length=2, candidate="c", side="user")
