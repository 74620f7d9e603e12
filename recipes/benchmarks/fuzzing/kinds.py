"""The kinds of calls and their shares."""

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzzing import bundles, encode, files, labels, others, rules, served, states, steps, times
from fuzzing.draw import Draw
from fuzzing.judge import Call

ON_ROWS: dict[str, tuple[int, Callable[[Draw], Call]]] = {
    "encode": (200, encode.encode_call),
    "fit": (100, encode.fit_call),
    "infer": (30, encode.infer_call),
    "files": (180, files.file_call),
    "labels in rows": (40, labels.row_call),
    "arrays": (70, labels.array_call),
    "raw": (20, labels.raw_call),
    "rules": (40, rules.rule_call),
    "states": (40, states.state_call),
    "resume": (2, states.resume_call),
    "steps": (30, steps.step_call),
    "splits": (30, others.split_call),
    "processes": (6, others.process_call),
    "metrics": (40, others.metric_call),
    "times": (60, times.times_call),
}
ON_BUNDLES: dict[str, tuple[int, Callable[[Draw, int, Path], Call]]] = {
    "requests": (180, served.request_call),
    "tower": (20, served.tower_call),
    "crafted": (60, bundles.crafted_call),
    "carried": (15, bundles.carried_call),
    "deploy": (5, others.deploy_call),
}


def prepare(seed: int, out: Path) -> None:
    """Makes what calls share, once."""
    served.export_pool(seed, out)


@contextlib.contextmanager
def own_folder() -> Iterator[None]:
    """Puts the files of a call into a folder of its own, which goes with it."""
    with tempfile.TemporaryDirectory(prefix="fuzz", ignore_cleanup_errors=True) as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def draw_call(seed: int, number: int, out: Path, only: str = "") -> Call:
    """Draws the call of a number, of a kind that begins with one in `only`."""
    draw = Draw(seed, number)
    kinds = {
        name: kind for name, kind in ON_ROWS.items() if name.startswith(tuple(only.split(",")))
    }
    for name, (share, make) in ON_BUNDLES.items():
        if name.startswith(tuple(only.split(","))):
            kinds[name] = (share, functools.partial(make, seed=seed, out=out))
    names = [name for name, (share, _) in kinds.items() for _ in range(share)]
    return kinds[draw.pick(names)][1](draw)
