"""Atomic creation and replacement of folders."""

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from kranking import _folders
from kranking._folders import new_folders, replaced_folder

pytestmark = pytest.mark.once


def killed(action):
    """Runs an action in a forked process, which it ends with SIGKILL."""
    child = os.fork()
    if not child:
        with suppress(BaseException):
            action()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def write(directory, text):
    with replaced_folder(directory) as folder:
        (folder / "x").write_text(text)


def test_there_is_a_folder_at_any_moment(tmp_path):
    """Another thread that opens the file finds the old or the new one."""
    write(tmp_path / "a", "0")
    missing, ended = [], threading.Event()

    def read():
        while not ended.is_set():
            try:
                (tmp_path / "a" / "x").stat()
            except FileNotFoundError:
                missing.append(1)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(300):
        write(tmp_path / "a", str(number))
    ended.set()
    thread.join()
    assert not missing
    assert (tmp_path / "a" / "x").read_text() == "299"


def test_where_folders_cannot_change_places(tmp_path, monkeypatch):
    monkeypatch.setattr(_folders, "_exchanged", lambda *_: False)
    for text in ("old", "new"):
        write(tmp_path / "a", text)
        assert (tmp_path / "a" / "x").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_umask_is_followed_and_not_set(tmp_path, monkeypatch):
    before = os.umask(0o027)
    monkeypatch.setattr(os, "umask", None)
    write(tmp_path / "a", "new")
    monkeypatch.undo()
    assert os.umask(before) == 0o027
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o750


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    def half():
        with replaced_folder(tmp_path / "a") as folder:
            (folder / "x").write_text("half")
            kill()

    killed(half)
    assert len(list(tmp_path.iterdir())) == 1
    with replaced_folder(tmp_path / "a") as alive:  # this one is not removed
        write(tmp_path / "a", "other")
        assert alive.exists()
        (alive / "x").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "x").read_text() == "new"


def parts(parent, text):
    with new_folders(parent, ["one", "two"]) as folder:
        for name in ("one", "two"):
            (folder / name).mkdir()
            (folder / name / "x").write_text(text)


def test_folders_of_a_run_killed_between_two_are_made_again(tmp_path):
    rename = os.rename

    def once(old, new):
        rename(old, new)
        kill()

    def half():
        os.rename = once
        parts(tmp_path, "old")

    (tmp_path / "mine").mkdir()
    killed(half)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name[0] != ".") == ["mine", "one"]
    parts(tmp_path, "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "one", "two"]
    assert (tmp_path / "one" / "x").read_text() == "new"
    with pytest.raises(ValueError, match="must not contain 'one' yet"):
        parts(tmp_path, "third")


def test_a_folder_put_in_the_place_of_a_killed_run_is_kept(tmp_path):
    rename = os.rename

    def half():
        os.rename = lambda old, new: (rename(old, new), kill())
        parts(tmp_path, "old")

    killed(half)
    (tmp_path / "one").rename(tmp_path / "elsewhere")
    (tmp_path / "one").mkdir()
    with pytest.raises(ValueError, match="must not contain 'one' yet"):
        parts(tmp_path, "new")
    assert (tmp_path / "elsewhere" / "x").read_text() == "old"


def test_of_two_writers_at_once_one_is_refused_whole(tmp_path):
    def write_both():
        with new_folders(tmp_path, ["one", "two"]) as folder:
            for name in ("one", "two"):
                (folder / name).mkdir()
            parts(tmp_path, "other")

    with pytest.raises(ValueError, match="must not contain 'one' yet"):
        write_both()
    assert [Path(tmp_path, name, "x").read_text() for name in ("one", "two")] == ["other"] * 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]
