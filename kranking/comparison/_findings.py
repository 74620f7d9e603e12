"""Conclusions from learning experiments by fixed rules, and architectures worth trying.

The rules use intervals only: *clearly* means that the 95 % interval of a gain excludes 0. A report has
about twenty intervals, so one of them is expected to be misleading. If there is no clear gain, but a
relevant gain is not excluded, the experiment is *undecided* and suggests no architecture.
"""

from collections.abc import Callable
from dataclasses import dataclass

from kranking.comparison._experiments import Experiment, Point
from kranking.comparison._gains import Gains

RELEVANT = 0.5  # percent, a gain worth launching


@dataclass(frozen=True)
class Finding:
    """The conclusion of an experiment.

    Args:
        experiment: Name of the experiment.
        text: The conclusion.
        families: Names of suggested architectures.
    """

    experiment: str
    text: str
    families: tuple[str, ...] = ()


def finding(experiment: Experiment, gains: Gains) -> Finding:
    """Returns the conclusion of an experiment."""
    failed = [p.name for p in experiment.points if not gains.comparison[p.name].trained]
    points = [p for p in experiment.points if p.name not in failed]
    text, families = _RULES[experiment.name](points, gains) if points else ("", ())
    if failed:
        text = f"{text} Not trained: {', '.join(failed)}.".strip()
    return Finding(experiment.name, text, families)


def _enough(names: list[str], gains: Gains) -> int:
    """Returns the index of the first model clearly better than model 0, with no later one clearly better.

    Returns 0, the reference, if no model is clearly better than it.
    """
    better = [i for i, name in enumerate(names) if i and gains.clear(name, names[0])]
    for i in better:
        if not any(gains.clear(later, names[i]) for later in names[i + 1 :]):
            return i
    return better[-1] if better else 0


def _open(names: list[str], reference: str, gains: Gains) -> str:
    """Returns a note on the largest gain that is not excluded, empty if it is not relevant."""
    most = max((gains(name, reference).high for name in names if name != reference), default=0.0)
    return f" (undecided: +{most:.2g} % is not excluded)" if most > RELEVANT else ""


def _order(points: list[Point], gains: Gains):
    stacks = [p for p in points if p.name != "mlp"]
    if not stacks:
        return "", ()
    enough = stacks[_enough([p.name for p in stacks], gains)]
    depth, first = int(enough.x or 0), stacks[0].name
    undecided = ""
    if depth == 1:
        undecided = _open([p.name for p in stacks], first, gains)
        text = f"No deeper stack is clearly better than one cross step{undecided}"
    else:
        text = f"{depth} cross steps gain {gains(enough.name, first)} % over {first}"
        text += ", and no deeper stack is clearly better"
    if len(stacks) < len(points):
        better = gains.clear(enough.name, "mlp")
        text += f"; {'' if better else 'no clear '}gain over the MLP alone: {gains(enough.name, 'mlp')} %"
        if not better and depth == 1:
            too = _open([enough.name], "mlp", gains)
            return text + too + ".", () if undecided or too else ("mlp", "final_mlp")
    if undecided:
        return text + ".", ()
    families = {1: ("deepfm", "dlrm"), 2: ("dcn_v2", "gdcn"), 3: ("dcn_v2", "gdcn")}
    return text + ".", families.get(depth, ("dcn_v2", "gdcn", "sdcn_v3"))


def _parallel(points: list[Point], gains: Gains):
    if points[0].name != "stack_2" or len(points) < 2:
        return "", ()
    enough = points[_enough([p.name for p in points], gains)]
    if enough is points[0]:
        undecided = _open([p.name for p in points], "stack_2", gains)
        return f"No number of parallel stacks is clearly better than one{undecided}.", ()
    text = f"{enough.x} parallel stacks of two gain {gains(enough.name, 'stack_2')} % over one"
    return text + ", and more are not clearly better.", ("parallel_dcn_v2", "masknet", "dhen")


def _nonlinear(points: list[Point], gains: Gains):
    pairs = [(p, gains(p.name, p.reference)) for p in points if p.reference is not None]
    better = [int(p.x or 0) for p, gain in pairs if gain.low > 0]
    worse = [int(p.x or 0) for p, gain in pairs if gain.high < 0]
    rest = len(pairs) - len(better) - len(worse)
    text = f"A ReLU clearly helps at ranks {better or 'none'}, clearly hurts at {worse or 'none'}"
    text += f", and has no clear effect at {rest} of {len(pairs)}."
    if len(better) > len(worse):
        return text, ("masknet", "pinterest_launch")
    return text, ("dcn_v2",) if len(worse) > len(better) else ()


def _dhen(points: list[Point], gains: Gains):
    flops = {}
    for point in points:
        cost = gains.comparison[point.name].cost
        flops[point.name] = cost["flops"].value if cost is not None else float("nan")
    experts = sorted((p.name for p in points if p.series != "DHEN"), key=lambda name: flops[name])
    deep = [p.name for p in points if p.series == "DHEN"]
    if not experts or not deep:
        return "", ()
    won = []
    for name in deep:
        as_large = [other for other in experts if flops[other] >= flops[name]]
        won.append(gains.clear(name, as_large[0] if as_large else experts[-1]))
    grows = [_enough(names, gains) > 0 for names in (deep, experts)]
    text = (
        f"DHEN is clearly better at {sum(won)} of {len(won)} sizes than a mixture of equal FLOPs; "
    )
    text += f"more layers {'help' if grows[0] else 'do not clearly help'}, "
    text += f"more experts {'help' if grows[1] else 'do not clearly help'}."
    if any(won):
        return text, ("dhen",)
    return text, ("moe_mlp", "mmoe") if grows[1] else ()


_RULES: dict[str, Callable[[list[Point], Gains], tuple[str, tuple[str, ...]]]] = {
    "order": _order,
    "parallel": _parallel,
    "nonlinearity": _nonlinear,
    "dhen": _dhen,
}
