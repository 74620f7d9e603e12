"""A whole log scored in parts: equal to the bundle's answers, and to itself after a kill."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from kranking._rows import open_rows
from kranking.export import load_bundle
from kranking.export.__main__ import main
from kranking.export.bundle._log import LogRows
from kranking.export.functions._raw_rows import log_columns
from kranking.serving import score_parquet

pytestmark = pytest.mark.once

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def table(awkward):
    columns = log_columns(awkward.model.features, 95, np.random.default_rng(0))
    return pa.table({"row": pa.array(range(95)), **columns})


@pytest.fixture(scope="module")
def log(table, tmp_path_factory):
    """Two files, whose row groups do not end where blocks do."""
    folder = tmp_path_factory.mktemp("log")
    pq.write_table(table.slice(0, 50), folder / "0.parquet", row_group_size=17)
    pq.write_table(table.slice(50), folder / "1.parquet", row_group_size=40)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(awkward, log, tmp_path_factory):
    """What an undisturbed run writes."""
    out = tmp_path_factory.mktemp("whole") / "scores.parquet"
    return score_parquet(awkward.folder, log, out, keep=["row", "t"], block_rows=20, threads=1)


def test_scores_are_the_bundles(awkward, table, whole):
    assert (
        str(whole) == f"{whole.directory}: 95 rows in 6 parts"
    )  # of 20, 20, 10, 20, 20 and 5 rows
    found = ds.dataset(whole.directory).to_table()
    assert found["row"].to_pylist() == list(range(95))
    assert found["t"].to_pylist() == table["t"].to_pylist()
    expected = load_bundle(awkward.folder, threads=1).score(
        {name: table[name] for name in table.column_names}
    )
    assert found.column_names == ["row", "t", *expected]
    for task, p in expected.items():
        column = found[task]
        assert column.type == pa.float32()
        np.testing.assert_allclose(column.to_numpy(), p[:, 0], rtol=0, atol=1e-6)


KILLED = """
import os, signal, sys
from kranking.serving import score_parquet
replace = os.replace
def killed(source, target):
    if str(target).endswith("part-000003.parquet"):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = killed
score_parquet(*sys.argv[1:], keep=["row", "t"], block_rows=20, threads=1)
"""


def test_a_killed_run_goes_on_to_the_same_bytes(awkward, log, whole, tmp_path):
    out = tmp_path / "scores"
    arguments = map(str, (awkward.folder, log, out))
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=CHECKOUT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert {p.name for p in out.glob("part-*")} == {f"part-00000{i}.parquet" for i in range(3)}
    assert ds.dataset(out).count_rows() == 50  # what is half-written is passed over
    (out / "part-000001.parquet").unlink()  # one in the middle as well
    before = (out / "part-000000.parquet").stat()
    scores = score_parquet(awkward.folder, log, out, keep=["row", "t"], block_rows=20, threads=1)
    assert scores.found == 2
    assert str(scores).endswith("6 parts, 2 of them from an earlier run")
    assert (out / "part-000000.parquet").stat() == before
    assert contents(out) == contents(whole.directory)


def test_command(awkward, log, whole, capsys):
    arguments = [awkward.folder, log, whole.directory, "--block-rows", 20, "--threads", 1]
    arguments = ["score", *map(str, arguments), "--keep"]
    assert main([*arguments, "row", "t"]) == 0
    assert capsys.readouterr().out.endswith("95 rows in 6 parts, 6 of them from an earlier run\n")
    assert main([*arguments, "absent"]) == 1
    error = capsys.readouterr().err
    assert "error: `keep` must be columns of" in error
    assert "Received: unknown columns ['absent']" in error


def test_an_empty_log_gives_columns_without_rows(awkward, table, tmp_path):
    pq.write_table(table.slice(0, 0), tmp_path / "log.parquet")
    scores = score_parquet(awkward.folder, tmp_path / "log.parquet", tmp_path / "out", keep=["row"])
    found = ds.dataset(scores.directory).to_table()
    assert found.num_rows == scores.rows == 0
    assert found.column_names == [
        "row",
        *awkward.report.manifest["tasks"],
    ]


def test_a_missing_column_is_named(awkward, table, tmp_path):
    pq.write_table(table.drop_columns(["x.y"]), tmp_path / "log.parquet")
    with pytest.raises(
        ValueError, match=r"needs column 'x\.y', which is missing in .*log\.parquet"
    ):
        score_parquet(awkward.folder, tmp_path / "log.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_parts_of_another_call_are_refused(awkward, log, table, whole, tmp_path):
    other = Path(shutil.copytree(awkward.folder, tmp_path / "other"))
    manifest = json.loads((other / "manifest.json").read_text("utf-8"))
    (other / "manifest.json").write_text(json.dumps(manifest | {"seed": 12}), "utf-8")
    pq.write_table(table, tmp_path / "log.parquet")
    same = {"bundle": awkward.folder, "log": log, "keep": ["row", "t"], "block_rows": 20}
    before = contents(whole.directory)
    for change in ({"bundle": other}, {"log": tmp_path / "log.parquet"}, {"block_rows": 30}):
        (name,) = change
        with pytest.raises(ValueError, match=rf"Received: parts with another {name} \("):
            score_parquet(directory=whole.directory, **same | change)
    with pytest.raises(
        ValueError, match=r"must be a folder that is new, empty, or has a _scores\.json"
    ):
        score_parquet(directory=log, **same)
    assert contents(whole.directory) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"keep": ["lambda", "lambda_label"]},
            r"makes the columns \['lambda_label', 'lambda_label'",
        ),
        ({"keep": ["row", "row"]}, "each column once"),
        ({"block_rows": 0}, "`block_rows` must be a positive integer"),
    ],
    ids=str,
)
def test_arguments_are_checked(awkward, log, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        score_parquet(awkward.folder, log, tmp_path / "out", **arguments)


def test_kept_columns_have_one_type(awkward, table, tmp_path):
    pq.write_table(table, tmp_path / "0.parquet")
    other = table.set_column(0, "row", table["row"].cast(pa.string()))
    pq.write_table(other, tmp_path / "1.parquet")
    with pytest.raises(ValueError, match=r"same type in all files\. Received: 'row' as int64 in"):
        score_parquet(awkward.folder, tmp_path, tmp_path / "out", keep=["row"])


def test_a_bundle_without_serve_is_refused(awkward, log, tmp_path):
    bundle = Path(shutil.copytree(awkward.folder, tmp_path / "bundle"))
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    del manifest["signatures"]["serve"]
    (bundle / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(
        ValueError, match=r"signature 'serve'.*Received: a bundle .*\['serve_ids'\]"
    ):
        score_parquet(bundle, log, tmp_path / "out")


@pytest.mark.parametrize("first", [0, 1, 16, 17, 49])
def test_rows_from_any_row_on(log, first):
    file = str(log / "0.parquet")
    rows = LogRows(open_rows(file), file, ["row"], first)
    taken = [rows.take(1), *([rows.take(50 - first - 1)] if first < 49 else [])]
    assert pa.concat_tables(taken)["row"].to_pylist() == list(range(first, 50))
    with pytest.raises(ValueError, match=r"was changed after it was opened.*Received: 50 rows"):
        rows.take(1)
