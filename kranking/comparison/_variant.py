"""One of the models that are compared, rebuilt untrained for each seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kranking import architectures
from kranking.comparison._log import LogFiles
from kranking.models import RankingModel


@dataclass(frozen=True)
class Variant:
    """A model's recipe.

    Args:
        name: What it is called in the report.
        make: Zero-argument callable that gives the untrained model.
        described: What it is, for the record.
        hyperparameters: Number of settings to tune; `None` if nobody said.
    """

    name: str
    make: Callable[[], RankingModel]
    described: Any
    hyperparameters: int | None


def resolve(name: str, given: Any, log: LogFiles) -> Variant:
    """Makes a variant of a callable, an architecture's name, or a name and arguments.

    Args:
        name: The variant's name.
        given: As above.
        log: What its features and tasks are.
    """
    if callable(given):
        make_it: Any = given
        count = getattr(given, "hyperparameters", None)
        return Variant(name, make_it, getattr(given, "__qualname__", repr(given)), count)
    architecture, arguments = (given, {}) if isinstance(given, str) else _pair(name, given)
    row = architectures.get(architecture)
    described = {"architecture": architecture, "arguments": dict(arguments)}

    def make() -> RankingModel:
        return row.build(log.features, log.tasks, **arguments)

    return Variant(name, make, described, len(row.hyperparameters))


def _pair(name: str, given: Any) -> tuple[str, Mapping[str, Any]]:
    good = isinstance(given, tuple | list) and len(given) == 2
    if not good or not isinstance(given[0], str) or not isinstance(given[1], Mapping):
        raise ValueError(
            f"Variant {name!r} must be a zero-argument callable, an architecture's name, or "
            f"(name, arguments). Received: {given!r}"
        )
    return given[0], given[1]
