"""The project's limits, as CONTRIBUTING.md states them; what exceeds one is listed, and may only shrink."""

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kranking"
FOLDERS = {".ci", "docs", "export", "kranking", "recipes", "tests"}
MODULE, FUNCTION, SAME = 250, 40, 10  # lines

# What exceeds a limit today, by file or function. Nothing is added, and what is within it is deleted.
LONG_MODULES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}
WRITTEN_TWICE: dict[str, int] = {}
GIVES_OR_SAYS: dict[str, int] = {}

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FUNCTIONS = DEFINITIONS[:2]
# A bracket, or an argument passed on under its own name: what any caller of a long signature writes.
PASSED_ON = re.compile(r"[\[\](){},:]*|\*{0,2}\w+,?|(\w+)=\1,?")


def docstring(node):
    """Returns the node of a module's, class's or function's docstring, or None."""
    first = node.body[0] if node.body else None
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first if text and isinstance(first.value.value, str) else None


def body_lines(function):
    """Counts the lines from a function's first statement after its docstring to its last."""
    body = function.body[1:] if docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def code_lines(text):
    """Returns the lines that hold logic: no docstring, comment, import, `__all__` or signature."""
    skipped = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Import, ast.ImportFrom)) or _lists_names(node):
            skipped.update(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, (ast.Module, *DEFINITIONS)) and (written := docstring(node)):
            skipped.update(range(written.lineno, written.end_lineno + 1))
        if isinstance(node, FUNCTIONS):
            skipped.update(range(node.lineno, node.body[0].lineno))
    lines = (
        line.split("  # ")[0].strip()
        for number, line in enumerate(text.splitlines(), 1)
        if number not in skipped
    )
    return [line for line in lines if not (line.startswith("#") or PASSED_ON.fullmatch(line))]


def _lists_names(node):
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def written_twice(texts):
    """Counts, for two places with `SAME` equal lines in a row, how many such runs they share."""
    places = defaultdict(list)
    for name, text in texts.items():
        lines = code_lines(text)
        for start in range(len(lines) - SAME + 1):
            places[tuple(lines[start : start + SAME])].append((name, start))
    return Counter(
        f"{Path(first).name} + {Path(second).name}"
        for equal in places.values()
        for (first, start), (second, other) in combinations(equal, 2)
        if first != second or other - start >= SAME
    )


def check(found, listed, limit):
    """Raises unless what exceeds the limit is listed, has not grown, and all that is listed exceeds it."""
    grown = {key: value for key, value in found.items() if value > listed.get(key, limit)}
    assert not grown, f"the limit is {limit}"
    needless = {key for key in listed if found.get(key, 0) <= limit}
    assert not needless, "within the limit now: delete it from the list in this file"


@pytest.fixture(scope="module")
def texts():
    return {
        str(path.relative_to(PACKAGE)): path.read_text("utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@pytest.fixture(scope="module")
def definitions(texts):
    """Returns (module, node) of every module, class and function, nested ones included."""
    return [
        (name, node)
        for name, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Module, *DEFINITIONS))
    ]


def longest(lengths):
    """Returns the greatest length that each name has."""
    found = {}
    for name, length in lengths:
        found[name] = max(found.get(name, 0), length)
    return found


def test_modules_are_short(texts):
    lengths = ((Path(name).name, len(text.splitlines())) for name, text in texts.items())
    check(longest(lengths), LONG_MODULES, MODULE)


def test_functions_are_short(definitions):
    functions = (node for _, node in definitions if isinstance(node, FUNCTIONS))
    lengths = ((node.name, body_lines(node)) for node in functions)
    check(longest(lengths), LONG_FUNCTIONS, FUNCTION)


def test_nothing_is_written_twice(texts):
    check(written_twice(texts), WRITTEN_TWICE, 0)


def test_docstrings_begin_plainly(definitions):
    """With "Returns", "Computes" or "Whether"; never with "Gives" or "Says"."""
    words = Counter(
        text.value.value.split()[0] for _, node in definitions if (text := docstring(node))
    )
    check({word: words[word] for word in ("Gives", "Says")}, GIVES_OR_SAYS, 0)


def test_imports_go_one_way():
    pytest.importorskip("importlinter")  # an extra; the README's command goes without
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_top_level_folders_are_fixed():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listed.stdout.splitlines() if "/" in line} == FOLDERS


def test_detectors_detect():
    """The counting above, on text whose counts can be read off."""
    body = "\n".join(f"    a{index} = f({index})" for index in range(SAME))
    text = f'"""Module."""\nimport ast\ndef f(\n    x,\n):\n    """Doc."""\n{body}\n    return x  # end\n'
    function = ast.parse(text).body[2]
    assert body_lines(function) == SAME + 1
    assert code_lines(text) == [*(line.strip() for line in body.splitlines()), "return x"]
    assert written_twice({"a": text, "b": text}) == {"a + b": 2}
    assert written_twice({"a": text + text.replace("f(", "g(", 1)}) == {"a + a": 2}
    assert not written_twice({"a": text, "b": text.replace("a4 =", "b4 =")})
    with pytest.raises(AssertionError, match="limit is 9"):
        check({"a": 11}, {"a": 10}, 9)
    with pytest.raises(AssertionError, match="delete it"):
        check({"a": 9}, {"a": 10}, 9)
    check({"a": 10, "b": 9}, {"a": 10}, 9)
