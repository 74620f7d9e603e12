"""Atomic writes of files."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from kranking import _files
from kranking._files import create_text, is_temporary, replaced, write_json, write_text

pytestmark = pytest.mark.once

WRITER = """
import pathlib, sys, types
package = types.ModuleType("kranking")  # without the backend that importing it takes
package.__path__ = [str(pathlib.Path(sys.argv[1]).parent)]
sys.modules["kranking"] = package
from kranking._files import write_text
for i in range(300):
    write_text(sys.argv[2], f"{sys.argv[3]} {i} ".ljust(100_000, "x"))
"""


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """Sets the umask of this process for one test."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def test_processes_that_write_one_file(tmp_path):
    """No write fails, and a reader never sees a part of one."""
    path = tmp_path / "one.txt"
    path.write_text("0 0 ".ljust(100_000, "x"))
    command = [sys.executable, "-c", WRITER, _files.__file__, str(path)]
    with ExitStack() as stack:
        writers = [stack.enter_context(subprocess.Popen([*command, name])) for name in "ab"]
        while any(writer.poll() is None for writer in writers):
            assert len(path.read_text("utf-8")) == 100_000
    assert [writer.returncode for writer in writers] == [0, 0]
    assert path.read_text("utf-8").split()[1] == "299"
    assert list(tmp_path.iterdir()) == [path]


def test_threads_that_write_one_file(tmp_path):
    path = tmp_path / "one.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: write_json(path, [i] * 1_000), range(400)))
    assert len(set(json.loads(path.read_text("utf-8")))) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fsync", [False, True])
def test_an_error_leaves_the_old_file(tmp_path, fsync):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")

    def write_half():
        with replaced(path, fsync=fsync) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_value_that_json_cannot_hold_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": {1}})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")}, allow_nan=False)
    assert path.read_text("utf-8") == '{\n "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_mode_is_that_of_open(tmp_path, umask):
    write_text(tmp_path / "new", "é")
    (tmp_path / "open").write_text("")
    assert mode(tmp_path / "new") == mode(tmp_path / "open") == 0o666 & ~umask
    (tmp_path / "new").chmod(0o604)
    write_text(tmp_path / "new", "two")
    assert mode(tmp_path / "new") == 0o604
    assert (tmp_path / "new").read_text() == "two"


def test_path_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json("x.json", {"name": "é"}, indent=None, ensure_ascii=False, fsync=True)
    assert Path("x.json").read_bytes() == '{"name": "é"}\n'.encode()
    assert os.listdir() == ["x.json"]


def test_working_folder_may_change_in_the_block(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with replaced("x.txt") as temporary:
        os.chdir("elsewhere")
        temporary.write_text("here")
    assert (tmp_path / "x.txt").read_text() == "here"


def test_link_stays_and_its_target_is_replaced(tmp_path):
    for name in ("links", "targets"):
        (tmp_path / name).mkdir()
    target, link = tmp_path / "targets" / "x", tmp_path / "links" / "x"
    link.symlink_to(Path("..") / "targets" / "x")
    for text in ("made through the link", "replaced through the link"):
        write_text(link, text)
        assert link.is_symlink()
        assert not target.is_symlink()
        assert target.read_text() == text
    assert [*link.parent.iterdir(), *target.parent.iterdir()] == [link, target]


def test_unfinished_file_has_none_of_the_suffix(tmp_path):
    """A reader of a folder of Parquet files takes all that end so, hidden or not."""
    with replaced(tmp_path / "part.parquet") as temporary:
        temporary.write_bytes(b"half")
        assert temporary.parent == tmp_path
        assert not list(tmp_path.rglob("*.parquet"))


def test_long_name(tmp_path):
    path = tmp_path / ("é" * 127)
    write_text(path, "x", fsync=True)
    assert path.read_text() == "x"


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(
        ValueError, match=r"none/x' must be .* in an existing folder.*: No such file"
    ):
        write_text(tmp_path / "none" / "x", "x")


def test_sync_reaches_file_and_folder(tmp_path, monkeypatch):
    """The file before it gets its name, the folder after."""
    synced, real = [], os.fsync

    def record(descriptor):
        synced.append((os.fstat(descriptor).st_ino, (tmp_path / "x").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    write_text(tmp_path / "x", "x", fsync=True)
    places = [(tmp_path / "x", False), (tmp_path, True)]
    assert synced == [(place.stat().st_ino, there) for place, there in places]
    write_text(tmp_path / "y", "y")
    assert len(synced) == 2


def test_a_pipe_is_written_to(tmp_path):
    """As `open` would, rather than replaced by a file that its reader never sees."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        received = pool.submit(pipe.read_text, "utf-8")
        write_text(os.fsencode(pipe), "to the reader")
        assert received.result(timeout=60) == "to the reader"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    code = """
import os, runpy, signal, sys
with runpy.run_path(sys.argv[1])["replaced"](sys.argv[2]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "x.txt"
    subprocess.run([sys.executable, "-c", code, _files.__file__, str(path)], check=False)
    assert [is_temporary(p.name, "x.txt") for p in tmp_path.iterdir()] == [True]
    with replaced(path) as alive:
        alive.write_text("mine")
        write_text(path, "other")  # removes nothing that a living process holds
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_of_two_that_create_a_file_the_first_one_does(tmp_path):
    assert create_text(tmp_path / "x", "first")
    assert not create_text(tmp_path / "x", "second")
    assert (tmp_path / "x").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
