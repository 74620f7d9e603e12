"""All architectures with their wiring and cost. Writes docs/architectures.md.

Paper:    one for each architecture; the page has the links.
Command:  python recipes/architectures.py              write the page and its pictures
          python recipes/architectures.py --out DIR    elsewhere
Cost:     half a minute; nothing is trained.
Expected: a page that equals the one in docs/, which a test compares.

Builds every entry of `kranking.architectures.names()` with its defaults on one declared log: 24 categorical
features of width 16, eight numbers, an embedding of 64 projected to 16 and a user's sequence; two tasks.
The cost is `model.work()`: computed, not measured.
"""

import argparse
import inspect
import re
from pathlib import Path
from typing import Any

import kranking as kr

PAGE = Path(__file__).parents[1] / "docs" / "architectures.md"
PICTURES = "images/architectures"
TASKS = [kr.Task("save"), kr.Task("hide")]
HEADINGS = [
    *("architecture", "in one line", "takes", "to tune"),
    *("parameters", "MFLOP", "kept values"),
]
HEAD = """# Architectures

Written by `python recipes/architectures.py`; do not edit by hand.

Each architecture is a function of `kranking.architectures` that takes features and tasks and returns a
`RankingModel`. The costs are `model.work()` with default arguments on one log: 24 categorical features of
width 16, eight numbers, an embedding of 64 projected to 16, and a sequence; the flat vector is 424 wide,
and there are two tasks. Parameters exclude the features' embeddings but include first-order tables and
codebooks. MFLOP counts the matrix products of one row in the forward pass. Kept values are the elements
that training keeps of one row for the backward pass. To tune: the number of hyperparameters.
"""
EXAMPLE = """
```python
import kranking as kr

row = kr.architectures.get("dcn_v2")
print(row.paper, [parameter.name for parameter in row.hyperparameters])

features = [kr.features.Numeric("age", mean=40.0, std=10.0)]
model = row.build(features, [kr.Task("save")], depth=2, units=(64,))
picture = kr.models.wiring(model)  # SVG, as below
```
"""


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=PAGE.parent, help="folder of the page")
    parser.add_argument("--smoke", action="store_true", help="the same: it is quick")
    args = parser.parse_args(arguments)
    rows, sections, result, pictures = [], [], {}, {}
    for name in kr.architectures.names():
        row = kr.architectures.get(name)
        model = row.build(features(), TASKS)
        pictures[f"{name}.svg"] = kr.models.wiring(model)
        work = model.work()
        tables = kr.layers.work_of(model.encoder, None).parameters
        beyond = work.parameters - tables * model.stack[0].needs_fields
        cost = [f"{beyond:,}", f"{work.matmul_flops / 1e6:,.2f}", f"{work.saved_elements:,}"]
        rows.append([f"[`{name}`](#{name})", *about(row), *cost])
        sections += section(row)
        result[name] = float(beyond)
    table = kr.comparison.markdown_table(HEADINGS, rows, left=3)
    files: dict[str, Any] = {PAGE.name: "\n".join([HEAD, *table, EXAMPLE, *sections])}
    if args.out != PAGE.parent:
        files["result.json"] = result
    kr.comparison.write_files(args.out / PICTURES, pictures)
    kr.comparison.write_files(args.out, files)
    return result


def features() -> list[Any]:
    """Declares the log for the cost of every architecture."""
    ids: dict[str, Any] = {"hash_buckets": 10_000, "embedding_dim": 16}
    sides = ("user", "item", "context")
    return [
        *(kr.features.Categorical(f"id_{i}", side=sides[i % 3], **ids) for i in range(24)),
        *(kr.features.Numeric(f"number_{i}", side="item", mean=0.0, std=1.0) for i in range(8)),
        kr.features.Embedding("cover", dim=64, project_to=16, side="item"),
        kr.features.Sequence("seen", of="id_1", max_length=50, side="user"),
    ]


def about(row: kr.architectures.Architecture) -> list[str]:
    """The first line of the docstring, the views, the number of hyperparameters."""
    line = (inspect.getdoc(row.build) or "").splitlines()[0]
    return [line, ", ".join(row.views), str(len(row.hyperparameters))]


def section(row: kr.architectures.Architecture) -> list[str]:
    """A picture, the equation and the hyperparameters."""
    text = inspect.getdoc(row.build) or ""
    body = text.split("\nArgs:")[0].split("\n", 1)[1].strip()
    paper = re.sub(r"(https?://\S+)", r"<\1>", row.paper)
    lines = [f"## {row.name}", "", text.splitlines()[0], "", f"Paper: {paper}", ""]
    lines += [
        f"![Wiring of {row.name}]({PICTURES}/{row.name}.svg)",
        "",
        *([body, ""] if body else []),
    ]
    if row.hyperparameters:
        lines += kr.comparison.markdown_table(
            ["to tune", "values", "default"],
            [[f"`{p.name}`", values(p), f"`{p.default}`"] for p in row.hyperparameters],
            left=2,
        )
        lines.append("")
    return lines


def values(parameter: kr.architectures.Hyperparameter) -> str:
    """Describes the values of a hyperparameter."""
    if parameter.choices is not None:
        text = " or ".join(f"`{choice}`" for choice in parameter.choices)
    else:
        text = f"{parameter.low:g} to {parameter.high:g}" + (", in ratios" if parameter.log else "")
    if parameter.when:
        text += f"; with `{parameter.when[0]}={parameter.when[1]!r}`"
    return text


if __name__ == "__main__":
    main()
