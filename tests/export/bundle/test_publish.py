import signal
import subprocess
import sys

import pytest

from kranking._files import is_temporary
from kranking.export.bundle._manifest import FORMAT, FORMAT_VERSION, describe_files, write_manifest
from kranking.export.bundle._publish import check_replaceable, publish

pytestmark = pytest.mark.once


def write(directory, content):
    with publish(directory) as folder:
        (folder / "part").mkdir()
        (folder / "part" / "file").write_text(content)
        files = describe_files(folder)
        write_manifest(folder, {"format": FORMAT, "format_version": FORMAT_VERSION, "files": files})


def test_appears_and_is_replaced(tmp_path):
    directory = tmp_path / "deep" / "bundle"
    write(directory, "old")
    check_replaceable(directory)
    write(directory, "new")
    assert (directory / "part" / "file").read_text() == "new"
    assert [path.name for path in directory.parent.iterdir()] == ["bundle"]


def test_a_failure_changes_nothing(tmp_path):
    directory = tmp_path / "bundle"
    write(directory, "old")

    def fail():
        with publish(directory) as folder:
            (folder / "file").write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert (directory / "part" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_empty_directory_is_replaced(tmp_path):
    (tmp_path / "bundle").mkdir()
    check_replaceable(tmp_path / "bundle")
    write(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle" / "part" / "file").read_text() == "new"


def test_a_bundle_with_a_stranger_is_kept(tmp_path):
    write(tmp_path / "bundle", "old")
    (tmp_path / "bundle" / "mine").write_text("mine")
    with pytest.raises(ValueError, match=r"no other files.*'mine'"):
        check_replaceable(tmp_path / "bundle")


def test_a_killed_process_changes_nothing(tmp_path):
    write(tmp_path / "bundle", "old")
    code = """
import os, pathlib, signal, sys
from kranking.export.bundle._publish import publish

with publish(pathlib.Path(sys.argv[1])) as folder:
    (folder / "file").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "bundle"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "bundle" / "part" / "file").read_text() == "old"
    left = [path.name for path in tmp_path.iterdir() if path.name != "bundle"]
    assert [is_temporary(name, "bundle") for name in left] == [True]
    write(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle" / "part" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_files_put_in_meanwhile_are_kept(tmp_path):
    write(tmp_path / "bundle", "old")

    def replace():
        with publish(tmp_path / "bundle"):
            (tmp_path / "bundle" / "mine").write_text("mine")

    with pytest.raises(ValueError, match=r"no other files.*'mine'"):
        replace()
    assert (tmp_path / "bundle" / "mine").read_text() == "mine"
