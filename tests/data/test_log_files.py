"""A log is its contents: files that were replaced are another log, whatever their size and time."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking._identity import changed

pytestmark = pytest.mark.once


def log_of(folder, labels):
    path = folder / "rows.parquet"
    table = pa.table({"save": labels, "session": [1, 1, 2]})
    pq.write_table(table, path, compression="none", use_dictionary=False)
    os.utime(path, (1, 1))
    return kr.data.LogFiles(path, path, path, [], [kr.Task("save")], "session").to_json()


def test_other_labels_of_the_same_size_and_time_are_another_log(tmp_path):
    before, again = log_of(tmp_path, [0, 1, 1]), log_of(tmp_path, [0, 1, 1])
    other = log_of(tmp_path, [1, 0, 0])
    assert before == again
    assert other["files"]["train"][0]["bytes"] == before["files"]["train"][0]["bytes"]
    assert changed(before, other).startswith("files: train: 'rows.parquet': sha256 ('")


def test_every_file_has_the_sessions(tmp_path):
    for name, columns in (("a", {"save": [1], "session": [1]}), ("b", {"save": [1]})):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    log = kr.data.LogFiles(tmp_path, tmp_path, tmp_path, [], [kr.Task("save")], "session")
    with pytest.raises(ValueError, match=r"must be a column of '.*b.parquet', one of \['save'\]"):
        log.to_json()


@pytest.mark.parametrize("tasks", [None, "save", ["save"], kr.Task("save"), {kr.Task("save")}])
def test_tasks_are_a_list_of_declarations(tasks):
    with pytest.raises(ValueError, match=r"`tasks` must be (a list|an object) of .*Task"):
        kr.data.LogFiles("a", "b", "c", [], tasks, "session")


def test_declarations_of_a_generator_are_read_several_times():
    log = kr.data.LogFiles("a", "b", "c", iter([]), iter([kr.Task("save")]), "session")
    assert log.main_task == "save"
    assert list(log.tasks) == [kr.Task("save")]
