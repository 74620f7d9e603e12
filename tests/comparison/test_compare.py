"""A comparison on a small log: resumed, refused, with variants that fail."""

import dataclasses
import json

import keras
import numpy as np
import onnx
import pytest

import kranking as kr
from kranking.budget import Budget
from kranking.comparison import compare
from kranking.data import LogFiles
from kranking.training import Protocol

pytestmark = pytest.mark.usefixtures("eager_training")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    kr.data.write_homefeed(folder, num_rows=3000, seed=0)
    features = [
        kr.features.Categorical("topic", side="item", embedding_dim=4),
        kr.features.Numeric("pin_saves", side="item", transform="log"),
    ]
    features = kr.features.fit(features, folder / "train")
    parts = (folder / part for part in ("train", "valid", "test"))
    return LogFiles(*parts, features, [kr.Task("save"), kr.Task("closeup")], "session_id")


PROTOCOL = Protocol(optimizer=lambda: keras.optimizers.Adam(1e-2), batch_size=512)
SMALL = ("mlp", {"units": (4,)})


def run(log, out, variants, **options):
    options = {"seeds": 2, "latency_batch": None, "verbose": 0, "protocol": PROTOCOL, **options}
    return compare(variants, log, "small", out=out, **options)


class Broken(keras.layers.Layer):
    """Gives infinity."""

    def call(self, inputs):
        return inputs / 0.0

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.fixture(scope="module")
def report(log, tmp_path_factory):
    out = tmp_path_factory.mktemp("comparison")

    def broken():
        return kr.RankingModel(log.features, [Broken(), kr.layers.MLP([2])], log.tasks)

    def raises():
        raise MemoryError("no more")

    variants = {"small": SMALL, "twin": SMALL, "broken": broken, "raises": raises}
    budget = Budget(parameters="+0 %", memory="1 GiB")
    return run(log, out, variants, budget=budget), out, variants


def test_equal_models_differ_by_nothing(report):
    twin, small = report[0]["twin"], report[0]["small"]
    assert twin.difference.estimate == 0
    assert twin.verdict() == "inside noise"
    assert twin.metric == small.metric >= 0  # defined, so not NaN
    assert all(interval.estimate == 0 for interval in twin.figures.values())
    assert {"save_auc", "save_ne", "closeup_auc"} <= set(twin.figures)
    assert small.difference is None
    assert report[0].violations("twin") == []


def test_the_metric_is_that_of_the_test_rows(report, log):
    """The mean over sessions that is bootstrapped is HIT@3 itself, and the seeds are not one."""
    _, out, _ = report
    row = json.loads((out / "trials" / "small-seed1.json").read_text())
    values = np.load(out / "trials" / "small-seed1.npz")["hit"]
    assert row["hit"] == pytest.approx(values.mean(), abs=1e-6)
    assert (
        row["figures"] != json.loads((out / "trials" / "small-seed0.json").read_text())["figures"]
    )


@pytest.mark.each_backend
def test_failures_are_rows_with_reasons(report):
    found, _, _ = report
    assert found["raises"].failures == ["MemoryError: no more"] * 2
    assert not found["raises"].stable
    assert "FloatingPointError: The loss is" in found["broken"].failures[0]
    assert "at step 1" in found["broken"].failures[0]
    assert found.violations("raises") == ["no training finished"]
    assert found["twin"].stable
    assert "no more" in found.to_markdown()


def test_report_in_every_form(report):
    found, out, _ = report
    assert {"report.md", "report.html", "report.json"} <= {p.name for p in out.iterdir()}
    text = (out / "report.md").read_text()
    assert "small (baseline)" in text
    assert "✗ 2 of 2 failed" in text
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page.replace("http://www.w3.org", "")
    rows = json.loads((out / "report.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["small", "twin", "broken", "raises"]
    assert rows[3]["metric"] is None
    assert rows[0]["cost"]["figures"]["memory"]["fidelity"] == "analytic"
    assert "twin" in str(found)


@pytest.mark.each_backend
def test_goes_on_where_it_was_stopped(report, log):
    _, out, variants = report
    before = {p.name: p.stat().st_mtime_ns for p in (out / "trials").iterdir()}
    (out / "trials" / "twin-seed1.json").unlink()
    again = run(log, out, {name: variants[name] for name in ("small", "twin")})
    after = {p.name: p.stat().st_mtime_ns for p in (out / "trials").iterdir()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"twin-seed1.json", "twin-seed1.npz"}
    assert again["twin"].difference.estimate == 0


def test_another_comparison_is_refused(report, log):
    _, out, _ = report
    with pytest.raises(ValueError, match=r"`out` must be a new folder.*differs in variant 'small'"):
        run(log, out, {"small": ("mlp", {"units": (8,)})})
    with pytest.raises(ValueError, match="differs in protocol"):
        run(log, out, {"small": SMALL}, protocol=Protocol(batch_size=100))
    with pytest.raises(ValueError, match="differs in baseline"):
        compare({"small": SMALL, "twin": SMALL}, log, "twin", out=out, protocol=PROTOCOL)
    heavier = dataclasses.replace(log, tasks=[kr.Task("save", weight=9.0), kr.Task("closeup")])
    with pytest.raises(ValueError, match="differs in tasks"):
        run(heavier, out, {"small": SMALL})
    with pytest.raises(ValueError, match=r"differs in files: test: .*: sha256"):
        run(dataclasses.replace(log, test=log.valid), out, {"small": SMALL})


def test_a_callable_is_known_by_its_model(log, tmp_path):
    def build(units):
        return lambda: kr.RankingModel(log.features, [kr.layers.MLP([units])], log.tasks)

    options = {"seeds": 1}
    run(log, tmp_path, {"small": SMALL, "own": build(3)}, **options)
    before = (tmp_path / "trials" / "own-seed0.json").stat().st_mtime_ns
    run(log, tmp_path, {"small": SMALL, "own": build(3)}, **options)  # another function, same model
    assert (tmp_path / "trials" / "own-seed0.json").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="differs in variant 'own'"):
        run(log, tmp_path, {"small": SMALL, "own": build(5)}, **options)


def test_a_model_that_comes_twice_is_refused(log, tmp_path):
    model = kr.RankingModel(log.features, [kr.layers.MLP([3])], log.tasks)
    found = run(log, tmp_path, {"small": SMALL, "same": lambda: model})
    assert found["same"].trained == 1
    assert "must return a new, untrained model on each call" in found["same"].failures[0]


def test_a_model_that_ends_in_nan_is_not_stable(log, tmp_path):
    protocol = Protocol(optimizer=lambda: keras.optimizers.SGD(1e30), batch_size=4096)
    found = run(log, tmp_path, {"small": SMALL}, protocol=protocol, seeds=1)
    assert not found["small"].stable
    assert "not finite" in found["small"].failures[0]
    assert "no positives" not in found.to_markdown()


def test_served_latency_in_turns(log, tmp_path):
    found = run(log, tmp_path, {"small": SMALL, "large": ("mlp", {"units": (512, 512)})}, seeds=1,
                latency_batch=32, budget=Budget(latency="+0 %"))  # fmt: skip
    cost = found["large"].cost
    low, high = (cost[f"latency_ratio_{end}"].value for end in ("low", "high"))
    assert 1 < low <= cost["latency_ratio"].value <= high
    assert found.violations("small") == []  # a baseline is within what is relative to it
    assert cost["latency_p50"].fidelity == "measured"
    assert "32 rows, 1 thread" in cost["latency_p50"].conditions
    assert cost["latency_ratio"].value > 1
    assert [v.limit for v in found.violations("large")] == ["latency_p50"]
    assert (tmp_path / "latency-batch32.json").exists()
    graph = onnx.load(tmp_path / "served" / "large" / "model.onnx").graph
    products = {node.output[0] for node in graph.node if node.op_type == "MatMul"}
    added = {name for node in graph.node if node.op_type == "Add" for name in node.input}
    assert products <= added  # biases, as after training


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"other": SMALL}, r"`baseline` must be one of the variants \['other'\]. .*'small'"),
        (
            {"small": 3},
            "Variant 'small' must be a zero-argument callable, the name of an architecture",
        ),
        ({"small": "dcn_v3"}, "Did you mean"),
        ({"small": SMALL, "../escaped": SMALL}, "The name of a variant is part of file names"),
    ],
)
def test_rejects(log, tmp_path, variants, message):
    with pytest.raises(ValueError, match=message):
        run(log, tmp_path, variants)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latency_batch": 0}, "`latency_batch` must be a positive integer or None"),
        ({"budget": "1 GiB"}, "`budget` must be a kranking.budget.Budget"),
        ({"seeds": 0}, "`seeds` must be a positive integer"),
    ],
)
def test_rejects_options(log, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(log, tmp_path, {"small": SMALL}, **options)


def test_a_session_column_is_looked_for_before_training(log, tmp_path):
    with pytest.raises(ValueError, match=r"`session` must be a column of .*session='visit'"):
        run(dataclasses.replace(log, session="visit"), tmp_path, {"small": SMALL})


def test_an_optimizer_is_made_for_each_training():
    with pytest.raises(
        ValueError, match="`optimizer` must be a callable that returns a new optimizer"
    ):
        Protocol(optimizer=keras.optimizers.Adam())


def test_no_positive_of_the_main_task_is_undefined(log, tmp_path):
    import pyarrow.parquet as pq

    file = next(iter(kr.features.find_files(log.test)))
    table = pq.read_table(file)
    index = table.column_names.index("save")
    zeros = np.zeros(len(table), table["save"].to_numpy().dtype)
    table = table.set_column(index, "save", [zeros])
    pq.write_table(table, tmp_path / "test.parquet")
    none = dataclasses.replace(log, test=tmp_path / "test.parquet")
    found = run(none, tmp_path / "out", {"small": SMALL, "twin": SMALL}, seeds=1)
    assert found["twin"].verdict() == "undefined"
    assert "undefined: the test rows have no positives" in found.to_markdown()
