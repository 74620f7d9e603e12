"""The command line: what it offers, and how it ends. Each subcommand is tested with its function."""

import pytest

from kranking.export.__main__ import main

pytestmark = pytest.mark.once


def test_every_subcommand_is_listed(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    commands = ("export", "verify", "compress", "split", "score", "latency", "triton", "tf-serving")
    for command in commands:
        assert f"\n    {command}" in printed


def test_a_wrong_argument_is_refused_in_one_line(capsys):
    assert main(["split", "nowhere", "apart"]) == 1
    printed = capsys.readouterr()
    expected = "error: `directory` must contain a bundle with a manifest.json."
    assert printed.err.startswith(expected)
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_an_error_of_the_file_system_is_one_line(tmp_path, capsys, monkeypatch):
    def full(*given, **options):
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr("kranking.export._commands.split_tables", full)
    assert main(["split", "bundle", "apart"]) == 1
    assert capsys.readouterr().err == f"error: [Errno 28] No space left on device: '{tmp_path}'\n"


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["verify"]])
def test_a_wrong_command_ends_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: python -m kranking.export" in capsys.readouterr().err
