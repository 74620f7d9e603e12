"""Models of the learning experiments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kranking._core import check_choice

BASELINE = "stack_4"
EXPERIMENTS = ("order", "parallel", "nonlinearity", "dhen")


@dataclass(frozen=True)
class Point:
    """A model of an experiment.

    Args:
        name: Name of the variant.
        given: The variant, as in `compare`.
        reference: Name of the model to compare to; `None` if it is only a reference itself.
        x: Position in the plot; `None` uses the FLOPs.
        series: Name of the line in the plot.
    """

    name: str
    given: tuple[str, dict[str, Any]]
    reference: str | None
    x: float | None
    series: str


@dataclass(frozen=True)
class Experiment:
    """An experiment with models that differ in one setting.

    Args:
        name: Name of the experiment.
        question: The question it answers.
        axis: Label of the setting.
        points: The models.
    """

    name: str
    question: str
    axis: str
    points: tuple[Point, ...]


def experiments(
    names: Sequence[str], units: Sequence[int], ranks: Sequence[int]
) -> list[Experiment]:
    """Returns experiments by name.

    Args:
        names: Names in `EXPERIMENTS`.
        units: Layer widths of the MLP after each interaction.
        ranks: Ranks of the nonlinearity experiment.
    """
    for name in names:
        check_choice("experiments", name, EXPERIMENTS)
    make = {"order": _order, "parallel": _parallel, "nonlinearity": lambda u: _nonlinear(u, ranks)}
    return [{**make, "dhen": _dhen}[name](list(units)) for name in dict.fromkeys(names)]


def stack(depth: int, units: Sequence[int], **more: Any) -> tuple[str, dict[str, Any]]:
    """Returns the variant of a cross network followed by an MLP."""
    settings = {"model_structure": "stacked", "depth": depth, "units": list(units)}
    return "dcn_v2", settings | more


def _order(units: list[int]) -> Experiment:
    points = [Point("mlp", ("mlp", {"units": units}), "stack_1", 0, "cross steps")]
    for depth in range(1, 9):
        reference = "stack_1" if depth > 1 else None
        name = f"stack_{depth}"
        points.append(Point(name, stack(depth, units), reference, depth, "cross steps"))
    question = "Up to which order do products of features help?"
    return Experiment("order", question, "cross steps (0: MLP alone)", tuple(points))


def _parallel(units: list[int]) -> Experiment:
    points = [Point("stack_2", stack(2, units), None, 1, "branches")]
    for count in (2, 3, 4):
        given = ("parallel_dcn_v2", {"num_stacks": count, "depth": 2, "units": units})
        points.append(Point(f"parallel_{count}x2", given, "stack_2", count, "branches"))
    question = "Do parallel stacks of two cross steps outperform a single one?"
    return Experiment("parallel", question, "parallel stacks of two", tuple(points))


def _nonlinear(units: list[int], ranks: Sequence[int]) -> Experiment:
    points = []
    for rank in ranks:
        plain, name = stack(4, units, low_rank=rank), f"rank_{rank}"
        relu = stack(4, units, low_rank=rank, inner_activation="relu")
        points += [
            Point(name, plain, None, rank, "without"),
            Point(f"{name}_relu", relu, name, rank, "ReLU"),
        ]
    question = "Does a ReLU between the factors of a low-rank kernel help?"
    return Experiment("nonlinearity", question, "rank", tuple(points))


def _dhen(units: list[int]) -> Experiment:
    moe = [(f"moe_{n}", ("moe_mlp", {"num_experts": n, "units": units})) for n in (4, 8, 16)]
    deep = [(f"dhen_{n}", ("dhen", {"num_layers": n, "units": units})) for n in (2, 4, 6)]
    points = [
        Point(name, given, None if name == "moe_4" else "moe_4", None, series)
        for series, models in (("MoE of MLPs", moe), ("DHEN", deep))
        for name, given in models
    ]
    question = "Does quality improve with FLOPs, and faster for DHEN than for a mixture of MLPs?"
    return Experiment("dhen", question, "FLOPs per row", tuple(points))
