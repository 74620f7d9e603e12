"""The list of architectures: what each is called, where it comes from, and what there is to tune."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from kranking.models import RankingModel


@dataclass(frozen=True)
class Hyperparameter:
    """One setting of an architecture that a team tunes again at each retraining.

    Args:
        name: Argument of the architecture's function.
        low: Least value of a range.
        high: Greatest value of a range.
        choices: The values, instead of a range.
        log: Whether the range is walked in ratios.
        default: What the architecture takes if nothing is said.
        when: `(name, value)` of another setting without which this one means nothing.

    >>> Hyperparameter("depth", low=1, high=8, default=4).default
    4
    """

    name: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] | None = None
    log: bool = False
    default: Any = None
    when: tuple[str, Any] | None = None

    def __post_init__(self):
        ranged = self.low is not None and self.high is not None
        if ranged == (self.choices is not None):
            raise ValueError(
                f"Hyperparameter {self.name!r} needs either `low` and `high`, or `choices`. "
                f"Received: low={self.low}, high={self.high}, choices={self.choices}"
            )

    @property
    def lowest(self) -> Any:
        """The least of its values: the first choice, or the low end of the range, of the default's type."""
        if self.choices is not None:
            return self.choices[0]
        return int(self.low or 0) if isinstance(self.default, int) else self.low


@dataclass(frozen=True)
class Architecture:
    """A row of the registry.

    Args:
        name: What users call it.
        build: The function from features and tasks to a `RankingModel`.
        paper: Authors, year and address.
        views: The views of the fields that it takes.
        hyperparameters: What there is to tune; their number is one of the five limits.
    """

    name: str
    build: Callable[..., RankingModel]
    paper: str
    views: tuple[str, ...]
    hyperparameters: tuple[Hyperparameter, ...]

    @property
    def smallest(self) -> dict[str, Any]:
        """The arguments of the cheapest model in range: for tests, and to see whether something runs."""
        return {parameter.name: parameter.lowest for parameter in self.hyperparameters}


_ARCHITECTURES: dict[str, Architecture] = {}


def architecture(
    paper: str, hyperparameters: Iterable[Hyperparameter], views: tuple[str, ...] = ("flat",)
) -> Callable[[Callable[..., RankingModel]], Callable[..., RankingModel]]:
    """Registers a function from features and tasks to a model, under its own name.

    Args:
        paper: Authors, year and address.
        hyperparameters: What there is to tune: keyword arguments of the function, with its defaults.
        views: The views of the fields that its first block takes.
    """

    def register(build: Callable[..., RankingModel]) -> Callable[..., RankingModel]:
        row = Architecture(build.__name__, build, paper, views, tuple(hyperparameters))
        _ARCHITECTURES[row.name] = row
        return build

    return register


def names() -> list[str]:
    """Gives the names of all architectures.

    >>> "pinterest_launch" in names()
    True
    """
    return sorted(_ARCHITECTURES)


def get(name: str) -> Architecture:
    """Gives an architecture's row, or raises with the nearest name.

    >>> get("pinterest_baseline").views
    ('flat',)
    """
    if name not in _ARCHITECTURES:
        near = get_close_matches(name, _ARCHITECTURES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"`name` must be one of {names()}. Received: {name!r}.{hint}")
    return _ARCHITECTURES[name]
