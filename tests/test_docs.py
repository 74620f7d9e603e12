"""What the documentation shows is run: every docstring's examples, every page's blocks in order."""

import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import kranking as kr

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OF_JAX = ".compiled_step"  # which the first command of the README goes without
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MINUTES = {"comparison", "hyperparameter-search"}  # pages that train many models
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


def doctests():
    """Gives every docstring with examples, each once, where it is written."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for info in pkgutil.walk_packages(kr.__path__, "kranking."):
        module = importlib.import_module(info.name)
        room = importlib.import_module(".".join(info.name.split(".")[:2]))
        names = {**vars(room), **vars(module), "np": np, "keras": keras, "kr": kr}
        yield from (t for t in finder.find(module, globs=names) if t.examples)


EXAMPLES = list(doctests())


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            one, marks=[pytest.mark.extra] if one.name.endswith(OF_JAX) else [], id=one.name
        )
        for one in EXAMPLES
    ],
)
def test_docstring(example, tmp_path, monkeypatch):
    if example.name.endswith(OF_JAX):
        pytest.importorskip("jax")
    monkeypatch.chdir(tmp_path)
    output = io.StringIO()
    result = doctest.DocTestRunner(verbose=False).run(example, out=output.write)
    assert result.failed == 0, output.getvalue()


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.stem in MINUTES else [], id=page.stem)
        for page in PAGES
    ],
)
def test_page(page, tmp_path, monkeypatch):
    """The blocks of a page run one after the other, in an empty folder, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    text = page.read_text("utf-8")
    names = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        above = text[: block.start(1)].count("\n")  # so that a traceback shows the page's lines
        exec(compile("\n" * above + block[1], str(page), "exec"), names)


@pytest.mark.parametrize(
    "page",
    [*PAGES, *sorted(ROOT.glob("docs/*/*.md")), *sorted(ROOT.glob("export/**/*.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page):
    broken = [
        target
        for target in LINK.findall(FENCED.sub("", page.read_text("utf-8")))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_readme_names_two_commands():
    """One does the main job, one runs the tests; both stand on a machine with nothing but Python."""
    first = (ROOT / "README.md").read_text("utf-8").split("\n## ")[1]
    commands = re.search(r"```sh\n(.*?)```", first, re.DOTALL)[1].splitlines()
    commands = [line for line in commands if line and not line.startswith("#")]
    assert len(commands) == 2
    assert all(command.startswith("python3.11 -m venv .venv && ") for command in commands)
    assert commands[0].endswith("/python recipes/homefeed.py")
    assert "/pytest -n auto" in commands[1]


def test_every_room_has_examples():
    """Guards the walk above: a walk that finds nothing would pass with nothing run."""
    rooms = {example.name.split(".")[1] for example in EXAMPLES}
    assert rooms >= set(kr.__all__) - {"RankingModel", "Task"}
