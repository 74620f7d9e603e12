"""Wrong first arguments of public functions: one `ValueError` with a sentence, whatever lies below."""

import gzip
import os

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr

pytestmark = pytest.mark.once

AGE, SAVE = kr.features.Numeric("age", mean=0.0, std=1.0), kr.Task("save")
X, Y = {"age": np.arange(8.0)}, {"save": np.array([0, 1] * 4)}
ROWS = {**X, **Y, "t": np.arange(8)}


@pytest.fixture(scope="module")
def model():
    made = kr.RankingModel([AGE], [kr.layers.MLP([2])], [SAVE])
    made.compile("sgd", weighted_metrics=None)
    return made


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with files of wrong kinds."""
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table(ROWS), "rows.parquet")
    good = (tmp_path / "rows.parquet").read_bytes()
    contents = {
        "empty.parquet": b"",
        "text.parquet": b"no Parquet, but text",
        "cut.parquet": good[:-20],
        "empty.csv": b"",
        "gzip.csv": gzip.compress(b"age,save\n1,1\n"),
        "text.csv.gz": b"age,save\n1,1\n",
        "ragged.csv": b"age,save\n1,1\n2\n",
        "blank.csv": b"\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in ("empty", "folder.parquet", "damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / "damaged" / "manifest.json").write_text("[")
    os.symlink("nowhere", "broken.parquet")
    return tmp_path


NO_ROWS = [
    *[None, 3, 3.5, b"x", [], [3], {}, "", "a\0b", "none.parquet", "rows.parquet/x", "x://y"],
    *["empty", "folder.parquet", "broken.parquet", "empty.parquet", "text.parquet", "cut.parquet"],
    *["empty.csv", "gzip.csv", "text.csv.gz", "ragged.csv", "blank.csv"],
]
READERS = {
    "fit": lambda rows, model: kr.features.fit([kr.features.Numeric("age")], rows),
    "infer": lambda rows, model: kr.features.infer(rows),
    "read": lambda rows, model: list(kr.data.read(rows, model)),
    "split_by_time": lambda rows, model: kr.data.split_by_time(rows, "t", "out"),
    "predict": lambda rows, model: model.predict(rows, verbose=0),
    "hidden": lambda rows, model: model.hidden(rows),
    "evaluate_scores": lambda rows, model: kr.serving.evaluate_scores(rows, "save"),
}


@pytest.mark.parametrize("call", READERS.values(), ids=READERS)
def test_what_is_no_rows_is_refused(call, model, folder):
    for rows in NO_ROWS:
        with pytest.raises(ValueError, match=r"(?s)\w.*[.:] "):
            call(rows, model)


NO_PATHS = [None, 3, [3], b"x", "", "a\0b", "x" * 300, "rows.parquet/x", "/proc/none/x"]
WRITERS = {
    "split_by_time": lambda path, model: kr.data.split_by_time("rows.parquet", "t", path),
    "write_homefeed": lambda path, model: kr.data.HomefeedLog(num_rows=200).write(path),
    "save_state": lambda path, model: kr.training.save_state(model, path),
    "RunRecord": lambda path, model: model.fit(
        X, Y, verbose=0, callbacks=[kr.training.RunRecord(path)]
    ),
    "export_model": lambda path, model: kr.export.export_model(model, path),
    "write_files": lambda path, model: kr.comparison.write_files(path, {"a.txt": "x"}),
    "save": lambda path, model: model.save(path),
    "save_weights": lambda path, model: model.save_weights(path),
    "export": lambda path, model: model.export(path, verbose=False),
}


@pytest.mark.parametrize("call", WRITERS.values(), ids=WRITERS)
def test_paths_that_cannot_be_written_are_refused(call, model, folder):
    for path in NO_PATHS:
        with pytest.raises(ValueError, match=r"must .*Received: |filename must end"):
            call(path, model)


LOADERS = {
    "load_bundle": lambda path, model: kr.export.load_bundle(path),
    "compress_bundle": lambda path, model: kr.export.compress_bundle(path, "o", log="rows.parquet"),
    "split_tables": lambda path, model: kr.export.split_tables(path, "o"),
    "score_parquet": lambda path, model: kr.serving.score_parquet(path, "rows.parquet", "o"),
    "write_triton": lambda path, model: kr.serving.write_triton(path, "o", name="a"),
    "write_tf_serving": lambda path, model: kr.serving.write_tf_serving(path, "o", name="a"),
    "serving_latency": lambda path, model: kr.serving.serving_latency(path),
    "load_state": lambda path, model: kr.training.load_state(model, path),
    "load_weights": lambda path, model: model.load_weights(path),
}


@pytest.mark.parametrize("call", LOADERS.values(), ids=LOADERS)
def test_paths_that_cannot_be_loaded_are_refused(call, model, folder):
    for path in [*NO_PATHS, "none", "empty", "damaged", "rows.parquet"]:
        with pytest.raises((ValueError, kr.export.ExportError), match=r"must |damaged"):
            call(path, model)


@pytest.mark.parametrize("name", ["save", "save_weights"])
def test_folders_without_rights_are_refused(name, model, folder):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    os.chmod(folder / "empty", 0o500)
    with pytest.raises(ValueError, match=r"must be .* that may be changed. Received: Permission"):
        getattr(model, name)(folder / "empty" / "x.weights.h5")


NO_MODELS = [None, 3, "model", kr.RankingModel]
OF_MODELS = {
    "read": lambda model: kr.data.read(ROWS, model),
    "export_model": lambda model: kr.export.export_model(model, "o"),
    "save_state": lambda model: kr.training.save_state(model, "o"),
    "embedding_tables": kr.training.embedding_tables,
    "analytic_cost": kr.budget.analytic_cost,
    "layer_table": kr.budget.layer_table,
    "largest_batch": kr.budget.largest_batch,
    "compiled_step": kr.budget.compiled_step,
    "measured_step": kr.budget.measured_step,
    "wiring": kr.models.wiring,
    "perturbed": kr.models.perturbed,
    "walk": lambda model: list(kr.models.walk(model, [])),
    "RankingEvaluation": kr.training.RankingEvaluation((X, Y), metrics=["auc"]).evaluate,
    "feature_importance": lambda model: kr.comparison.feature_importance(model, (X, Y)),
}


@pytest.mark.parametrize("name", OF_MODELS)
def test_what_is_no_model_is_refused(name):
    if name == "compiled_step":
        pytest.importorskip("jax")
    call = OF_MODELS[name]
    for value in NO_MODELS:
        with pytest.raises(ValueError, match=r"`(model|encoder)` must .*Received: "):
            call(value)


LISTS = {
    "fit": lambda value: kr.features.fit(value, ROWS),
    "Preprocessor": kr.features.Preprocessor,
    "RawColumns": kr.features.RawColumns,
    "FieldEncoder": kr.features.FieldEncoder,
    "to_json": kr.features.to_json,
    "schema_hash": kr.features.schema_hash,
    "field_widths": kr.features.field_widths,
    "features": lambda value: kr.RankingModel(value, [], [SAVE]),
    "blocks": lambda value: kr.RankingModel([AGE], value, [SAVE]),
    "tasks": lambda value: kr.RankingModel([AGE], [], value),
    "dcn_v2": lambda value: kr.architectures.dcn_v2(value, [SAVE]),
    "metrics": lambda value: kr.training.RankingEvaluation((X, Y), metrics=value),
    "with_field_dims": lambda value: kr.training.with_field_dims(value, {}),
    "vocabulary": lambda value: kr.features.Categorical("a", vocabulary=value or 3),
}


@pytest.mark.parametrize("call", LISTS.values(), ids=LISTS)
def test_what_is_no_list_is_refused(call):
    for value in (None, 3, "age", AGE, [keras.layers.Dense]):
        with pytest.raises(ValueError, match=r"must .*Received: "):
            call(value)


OTHERS = {
    "from_json": (kr.features.from_json, [None, 3, "text", "null", "[1]", "{}"]),
    "as_model_inputs": (kr.features.as_model_inputs, [None, 3, "x"]),
    "shares": (
        lambda value: kr.data.split_by_time(ROWS, "t", "o", shares=value),
        [None, 3, "x"],
    ),
    "truth_table": (kr.data.truth_table, [None, "log"]),
    "compare": (lambda value: kr.comparison.compare(value, None, "a", out="o"), [None, 3]),
    "get": (kr.architectures.get, [None, 3, [3], "dcn_v3"]),
    "device_memory": (kr.budget.device_memory, [None, [3], "A1000"]),
    "slots_per_parameter": (kr.budget.slots_per_parameter, [None, 3, "adamm"]),
    "latency_in_turns": (kr.serving.latency_in_turns, [None, 3, "x", [3]]),
    "log_loss": (lambda value: kr.metrics.log_loss(value, [0.5]), [None, "x", ["a"]]),
    "scores": (lambda value: kr.metrics.log_loss([1], value), [None, "x", ["a"], [2.0]]),
    "auc": (lambda value: kr.metrics.auc([1], value), [None, "x"]),
    "delimiter": (
        lambda value: kr.data.read_csv("ragged.csv", None, delimiter=value),
        [3, "ab"],
    ),
    "data": (lambda value: kr.training.RankingEvaluation(value, metrics=["auc"]), [None, 3]),
}


@pytest.mark.parametrize(("call", "values"), OTHERS.values(), ids=OTHERS)
def test_other_wrong_values_are_refused(call, values, folder):
    for value in values:
        with pytest.raises(ValueError, match=r"(?s)must .*Received: "):
            call(value)
