"""Raw columns inside served graphs: every transform equals the host's reference, and nothing crashes."""

import export_samples
import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoders_in_graphs import run_onnx, run_tensorflow

from kranking.export import export_model, load_bundle, verify_bundle
from kranking.export.functions._raw_rows import log_columns
from kranking.features import Categorical, Embedding, Numeric, Preprocessor, RawColumns, Sequence

pytestmark = pytest.mark.once  # what other backends hand over, test_export_model.py exports
FEATURES = [
    Categorical("text", vocabulary=("DE", "é 漢", "🎈")),
    Categorical("hashed", hash_buckets=100),
    Categorical("hashed_text", hash_buckets=7),
    Categorical("integer", vocabulary=(5, -7, 2**40)),
    Categorical("lists", vocabulary=(1, 2, 3), max_length=3),
    Categorical("again", column="lists", hash_buckets=11, max_length=4),
    Categorical("split", vocabulary=("1", "2"), max_length=2, separator=","),
    Categorical("knows_nothing", vocabulary=()),
    Numeric("mean", mean=1.0, std=2.0, nulls="mean"),
    Numeric("log", transform="log", mean=1.0, std=0.0, nulls=3, bounds=(0, 10)),
    Numeric("log_mean", column="log", transform="log", mean=0.5, std=2.0, nulls="mean"),
    Numeric("scale", transform="scale", bounds=(1, 5), nulls=0.0),
    Numeric("bucket", column="mean", transform="bucketize", boundaries=(1, 2, 3.5)),
    Numeric("none", column="scale", transform="none", nulls=1.0),
    Embedding("vector", dim=3, nulls="zeros"),
    Sequence(
        "watched",
        of="text",
        max_length=3,
        action="act",
        action_vocabulary=("like",),
        time="t",
        request_time="now",
        time_unit="ms",
    ),
    Sequence("seen", of="hashed", max_length=2, order="newest_first"),
]

# Five rows by hand: nulls, values never seen, the least and the greatest, lists of every length.
COLUMNS = {
    "text": ["DE", None, "🎈", "x", ""],
    "hashed": np.array([1, -5, 2**62, -(2**63), -(2**31)]),
    "hashed_text": ["a", None, "", "é", "a"],
    "integer": pa.array([5, None, 2**40, -7, 9]),
    "lists": [[1, 2], None, [], [3, None, 1, 2, 9], [1]],
    "split": ["1,2,1", "", None, "9", "2"],
    "knows_nothing": ["a"] * 5,
    "mean": [1.0, None, np.nan, np.inf, 3.5],
    "log": [-1.0, None, 4.0, 100.0, 1e-9],
    "scale": [2.0, None, 9.0, 0.0, 1e300],
    "vector": [[1.0, 2, 3], None, [0.0, 0, 0], [1, 1, 1], [2, 2, 2]],
    "watched": [["DE"], [], None, ["DE", "🎈", "x", None, "DE"], ["x", "DE"]],
    "act": [["like"], [], None, ["like", "like", "z", None, "like"], ["z", "z"]],
    "t": [[1e12], [], None, [1e12, 2e12, None, 4e12, 5e12], [1.0, 2.0]],
    "now": [1e12 + 5e3, 1e12, None, 6e12, 7e12],
    "seen": [[1, 2, 3], [5], [], None, [-(2**31)]],
}


@pytest.fixture(scope="module")
def raw():
    return RawColumns(FEATURES)


@pytest.fixture(scope="module", params=[run_tensorflow, run_onnx], ids=["tensorflow", "onnx"])
def graph(request, raw):
    return request.param(raw)


def assert_same(received, expected):
    assert list(received) == list(expected)
    for name, x in expected.items():
        assert received[name].dtype == x.dtype
        np.testing.assert_array_equal(received[name], x, name)


def test_rows_by_hand(graph, raw):
    assert_same(graph(raw(COLUMNS)), Preprocessor(FEATURES)(COLUMNS))


@pytest.mark.parametrize("size", [1, 500])
def test_random_rows(graph, raw, size):
    columns = log_columns(FEATURES, size, np.random.default_rng(size))
    assert_same(graph(raw(columns)), Preprocessor(FEATURES)(columns))


def test_what_training_refuses_is_imputed(graph, raw):
    tensors = raw(COLUMNS)
    tensors["vector"] = np.float32(
        [[1, np.nan, 2], [np.inf, 0, 0], [1, 2, 3], [0, 0, -np.inf], [0, 1, 0]]
    )
    tensors["watched.length"] = np.int32([-5, 2**31 - 1, 3, 0, 1])
    made = graph(tensors)
    np.testing.assert_array_equal(made["vector"][[0, 1, 3]], 0)
    np.testing.assert_array_equal(made["vector"][2], [1, 2, 3])
    np.testing.assert_array_equal((made["watched"] >= 0).sum(1), [0, 3, 3, 0, 1])


def test_columns_read_in_two_ways_are_two_tensors(raw):
    assert {"lists", "lists.length", "lists.again", "lists.again.length"} <= set(raw.inputs)
    assert raw.names["bucket"] == raw.names["mean"] == {"value": "mean"}
    assert raw.inputs["hashed_text"].dtype == "int64"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"integer": ["a"] * 5}, "'integer' .*must contain integers.*Received: 'a'"),
        ({"vector": [[1.0]] * 5}, "vectors of width 3 .*Received: width 1 in row 0"),
        ({"act": [[]] * 5}, "lists as long as those of 'watched'. Expected: 1 .*Received: 0"),
        (
            {"text": [1.5] * 5},
            r"'text' .*must contain ids: whole numbers.*Received: 1.5 \(double\)",
        ),
        ({"text": ["a"]}, "equal lengths"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_wrong_columns_are_refused(raw, change, message):
    with pytest.raises(ValueError, match=message):
        raw({**COLUMNS, **change})


@pytest.fixture(scope="module")
def model():
    return export_samples.sided_model()


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns") / "served"
    report = export_model(model, folder, num_check_rows=20)
    functions = ("", " serve", " rank", " user_tower")
    found = {f"{artefact}{name}" for artefact in ("saved_model", "onnx") for name in functions}
    assert set(report.reached) == {"keras", *found}
    return load_bundle(folder, threads=1)


@pytest.fixture(scope="module")
def columns(model):
    return log_columns(model.features, 9, np.random.default_rng(1))


def test_bundle_scores_columns(model, bundle, columns):
    expected = model.predict(model.preprocess(columns), verbose=0)
    for task, p in bundle.score(columns).items():
        np.testing.assert_allclose(p, expected[task], rtol=0, atol=1e-5)


def test_bundle_ranks_candidates_for_one_user(model, bundle, columns):
    of_items = {c for f in model.features if f.side == "item" for c in f.columns} - {"time"}
    one = {name: x.slice(3, 1) for name, x in columns.items() if name not in of_items}
    items = {name: x for name, x in columns.items() if name in of_items}
    every = {**items, **{name: pa.concat_arrays([x] * 9) for name, x in one.items()}}
    expected = bundle.score(every)
    for task, p in bundle.rank(one, items).items():
        assert p.shape == (9, 1)
        np.testing.assert_allclose(p, expected[task], rtol=0, atol=2e-6)
    for name in ("price", "made"):  # even if the request has such a column
        with pytest.raises(ValueError, match=f"needs column '{name}', which is missing"):
            bundle.rank(
                {**one, name: columns[name][:1]}, {n: x for n, x in items.items() if n != name}
            )


def test_bundle_gives_user_towers(model, bundle, columns):
    users = [f for f in model.features if f.side == "user"]
    fields = model.encoder.fields_of(users, model.preprocess(columns))
    expected = np.concatenate([keras.ops.convert_to_numpy(x) for x in fields.values()], 1)
    np.testing.assert_allclose(bundle.user_tower(columns), expected, rtol=1e-5, atol=1e-5)


def test_a_log_is_compared_as_well(bundle, columns, tmp_path):
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    verification = verify_bundle(
        bundle.directory, log=tmp_path / "log.parquet", num_log_rows=7, num_check_rows=5
    )
    assert verification.passed, str(verification)
    figures = {(f.check, f.of): f.figure for f in verification.findings}
    assert figures["log", str(tmp_path / "log.parquet")] == "7 rows"
    for name in ("saved_model rank", "onnx rank", "onnx user_tower", "onnx serve"):
        assert "on 20 rows" in figures["parity", name]  # 5 random, 1, 7 and those of the log


def test_signatures_are_described(bundle):
    described = bundle.manifest["signatures"]
    assert set(described) == {"serve_ids", "serve", "rank", "user_tower"}
    assert described["serve"]["host_side"] == ["user"]
    assert described["rank"]["per_candidate"] == ["fused"]
    first = {value["name"]: value["shape"][0] for value in described["rank"]["inputs"]}
    assert first["user"] == first["seen"] == 1
    assert first["pin"] == first["again"] == "batch"
    with pytest.raises(ValueError, match=r"as ONNX, .*'rank'.*Received: name='score'"):
        bundle.run("score", {})


def wrong_requests(tensors, rng, count):
    """Gives requests that a client may send: one tensor of each is another's type, width or content."""
    names = list(tensors)
    strange = ["", "\0", "a" * 10_000, "🎈", "\udc80", "NaN", None, 7]
    numbers = [np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0]
    integers = [-(2**63), 2**63 - 1, -(2**31), 0, -1]
    for _ in range(count):
        request, name = dict(tensors), names[rng.integers(len(names))]
        x = tensors[name]
        match rng.integers(6):
            case 0:
                request[name] = x[: rng.integers(0, len(x))]
            case 1:
                request[name] = x[:, None] if rng.random() < 0.5 else x.ravel()[:1]
            case 2:
                other = "int16" if x.dtype == object else rng.choice(["float16", "int8", "bool"])
                request[name] = np.zeros(x.shape, other)
            case 3:
                request.pop(name) if rng.random() < 0.5 else request.update(other=x)
            case _:
                pool = {"O": strange, "f": numbers, "i": integers}[x.dtype.kind]
                if x.dtype == np.int32:
                    pool = integers[2:]
                with np.errstate(over="ignore"):
                    filled = [pool[i] for i in rng.integers(0, len(pool), x.size)]
                    request[name] = np.array(filled, dtype=x.dtype).reshape(x.shape)
        yield request


def answer(bundle, request):
    try:
        return bundle.run("serve", request), None
    except ValueError as error:
        return {}, str(error)


def test_any_request_gets_a_finite_answer_or_a_clear_error(model, bundle, columns):
    tensors = RawColumns(model.features)(columns)
    answered = 0
    for request in wrong_requests(tensors, np.random.default_rng(0), 300):
        answers, message = answer(bundle, request)
        assert message is None or "Received: " in message
        answered += message is None
        assert all(np.isfinite(p).all() for p in answers.values())
    assert 50 < answered < 250


@pytest.mark.parametrize("run", [run_tensorflow, run_onnx])
def test_finite_numbers_are_bounded_as_in_training(run):
    features = [
        Numeric("narrow", mean=0.5, std=1e-300),
        Numeric("log", transform="log", mean=0.0, std=1e-37),
        Numeric("plain", transform="none"),
        Numeric("bucket", transform="bucketize", boundaries=(0.0, 1e30)),
        Embedding("vector", dim=2),
    ]
    rows: dict = {f.name: [1e300, -1e39, 2.0, -1.7e308] for f in features[:-1]}
    rows["vector"] = [[1e300, -1e39], [1.0, 2.0], [3e38, 0.0], [-4e38, 1.0]]
    raw, expected = RawColumns(features), Preprocessor(features)(rows)
    found = run(raw)(raw(rows))
    for name, values in expected.items():
        assert np.isfinite(values).all()
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)


def test_a_request_without_candidates(bundle, columns):
    request = {name: column.slice(0, 1) for name, column in columns.items()}
    nobody = {name: column.slice(0, 0) for name, column in columns.items()}
    for none in ([], {name: [] for name in columns}, nobody):
        assert {task: p.shape for task, p in bundle.rank(request, none).items()} == {"save": (0, 1)}
