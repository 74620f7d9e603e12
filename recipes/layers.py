"""All layers with their equation and cost. Writes docs/layers.md.

Paper:    one for each layer; the page has the links.
Command:  python recipes/layers.py              write the page
          python recipes/layers.py --out DIR    elsewhere
Cost:     seconds; nothing is trained.
Expected: a page that equals the one in docs/, which a test compares.

The text is read from the docstrings of `kranking.layers`. The cost is the layer's own `work` with default
arguments, on the views of one input: 16 fields of width 16, eight numbers and two tasks.
"""

import argparse
import inspect
import re
from pathlib import Path
from typing import Any

from keras.layers import Layer

import kranking as kr

PAGE = Path(__file__).parents[1] / "docs" / "layers.md"
FAMILIES = [
    *("core", "cross", "factorization", "dot", "gating"),
    *("attention", "mixing", "memorization", "heads"),
]
FIELDS, DIM, LENGTH, TASKS = 16, 16, 50, 2
VIEWS: dict[Any, Any] = {
    "flat": (None, FIELDS * DIM),
    "tokens": (None, FIELDS, DIM),
    "embeddings": (None, FIELDS, DIM),
    "categorical": (None, FIELDS, DIM),
    "fields": [(None, DIM)] * FIELDS,
    "linear": (None, FIELDS, TASKS),
    "ids": (None, FIELDS),
    "numeric": (None, 8),
}
SEQUENCE = [(None, LENGTH, DIM), (None, LENGTH)]
SEQUENCE_LAYERS = {"SequencePooling", "UserSequenceTransformer"}
# What has no default, or is known only in a model.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "MLP": {"units": (128, 64)},
    "MixtureOfExperts": {"units": (128, 64)},
    "Parallel": {"branches": [kr.layers.CrossNetwork(), kr.layers.MLP((128, 64))]},
    "Residual": {"block": kr.layers.MLP((FIELDS * DIM,))},
    "Tokenizer": {"dim": DIM},
    "FactorizedInteraction": {"units": 64},
    "FactorizedNetwork": {"units": (128, 64)},
    "MaskBlock": {"block_dim": 64},
    "DHEN": {"modules": [[kr.layers.DHENCross(), kr.layers.TokenLinear()]]},
    "DHENLayer": {"modules": [kr.layers.DHENCross(), kr.layers.TokenLinear()]},
    "BilinearFusion": {"widths": (FIELDS * DIM // 2,) * 2},
    "MeanHeads": {"num_parts": 2},
}
HEADINGS = ["layer", "in one line", "takes", "returns", "parameters", "kFLOP", "kept values"]
HEAD = """# Layers

Written by `python recipes/layers.py`; do not edit by hand.

Every public layer of `kranking.layers`, by family: its equation, its input and output, its cost and its
paper. Each also works alone in a plain Keras model.

The costs are `kr.layers.work_of(layer, input_shape)` with default arguments, for two tasks and 16 fields of
width 16: a flat vector of 256, or 16 tokens of 16. Sequences have 50 entries. Other arguments are listed
with the layer. kFLOP counts the matrix products of one row in the forward pass; kept values are the
elements that training keeps of one row for the backward pass.
"""
EXAMPLE = """
```python
import kranking as kr

layer = kr.layers.CrossNetwork(depth=2)
print(kr.layers.work_of(layer, (None, 256)))
```
"""
PART = re.compile(
    r"^(?=Args:|Attributes:|Input shape:|Output shape:|Raises:|>>> |References?:)", re.M
)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=PAGE.parent, help="folder of the page")
    parser.add_argument("--smoke", action="store_true", help="the same: it is quick")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    text, result = [HEAD + EXAMPLE], {}
    for family in FAMILIES:
        room = getattr(kr.layers, family)
        rows, sections = [], []
        for name in room.__all__:
            layer, shape = example(name)
            work = kr.layers.work_of(layer, shape)
            rows.append(row(layer, work))
            sections += section(layer)
            result[name] = float(work.parameters)
        table = kr.comparison.markdown_table(HEADINGS, rows, left=4)
        text += [f"## {family}", "", inspect.getdoc(room) or "", "", *table, "", *sections]
    files: dict[str, Any] = {"layers.md": "\n".join(text)}
    if args.out != PAGE.parent:
        files["result.json"] = result
    kr.comparison.write_files(args.out, files)
    return result


def example(name: str) -> tuple[Layer, Any]:
    """Returns a layer with default arguments, completed as a model would, and the shape of its input."""
    layer = getattr(kr.layers, name)(**ARGUMENTS.get(name, {}))
    kr.layers.fill_open_arguments(
        layer,
        field_dims=(DIM,) * FIELDS,
        kinds=("field",) * FIELDS,
        id_sizes=(10_000,) * FIELDS,
        num_tasks=TASKS,
    )
    return layer, SEQUENCE if name in SEQUENCE_LAYERS else shape_of(kr.layers.takes_of(layer))


def shape_of(takes: Any) -> Any:
    """Returns the input shape of a layer from the views that it takes."""
    return [shape_of(view) for view in takes] if isinstance(takes, tuple) else VIEWS[takes]


def row(layer: Layer, work: kr.layers.Work) -> list[str]:
    """Returns a layer's line in the table of its family."""
    name = type(layer).__name__
    takes = kr.layers.takes_of(layer)
    views = ", ".join(dict.fromkeys(takes)) if isinstance(takes, tuple) else takes
    line = (inspect.getdoc(layer) or "").splitlines()[0]
    cost = [f"{work.parameters:,}", f"{work.matmul_flops / 1e3:,.1f}", f"{work.saved_elements:,}"]
    return [f"[`{name}`](#{name.lower()})", line, views, layer.gives, *cost]


def section(layer: Layer) -> list[str]:
    """Returns a layer's text: its description with the equation, shapes, and the paper."""
    name = type(layer).__name__
    about, *parts = PART.split(inspect.getdoc(layer) or "")
    lines = [f"### {name}", "", about.strip(), ""]
    for part in parts:
        heading, _, body = part.partition(":")
        if heading in ("Input shape", "Output shape"):
            lines.append(f"- {heading}: {' '.join(body.split())}")
    lines.append(f"- Cost: {' '.join((inspect.getdoc(layer.work) or '').split())}")
    if name in ARGUMENTS:
        lines.append(f"- Figures with: `{arguments_of(layer)}`")
    papers = [part for part in parts if part.startswith("Reference")]
    return [*lines, "", *(f"{' '.join(paper.split())}\n" for paper in papers)]


def arguments_of(layer: Layer) -> str:
    """Returns the arguments in `ARGUMENTS` as text, with layers by the name of their class."""

    def text(value: Any) -> str:
        if isinstance(value, list):
            return f"[{', '.join(map(text, value))}]"
        return type(value).__name__ if isinstance(value, Layer) else repr(value)

    arguments = ARGUMENTS[type(layer).__name__]
    return ", ".join(f"{name}={text(value)}" for name, value in arguments.items())


if __name__ == "__main__":
    main()
