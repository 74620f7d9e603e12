"""Registry of the architectures: their names, papers, inputs and hyperparameters."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from kranking.models import RankingModel


@dataclass(frozen=True)
class Hyperparameter:
    """A setting of an architecture that a team tunes again at each retraining.

    Args:
        name: Argument of the function that builds the architecture.
        low: Lower end of a range.
        high: Upper end of a range.
        choices: Possible values, instead of a range.
        log: Whether to search the range on a logarithmic scale.
        default: Default value of the argument.
        when: `(name, value)` of another setting; this one has an effect only with that value.

    Raises:
        ValueError: Unless either a range or choices are given.

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
        """The smallest value: the first choice, or the lower end of the range with the default's type."""
        if self.choices is not None:
            return self.choices[0]
        return int(self.low or 0) if isinstance(self.default, int) else self.low


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry.

    Args:
        name: Name of the architecture.
        build: Function from features and tasks to a `RankingModel`.
        paper: Authors, title, year and URL.
        views: Views of the fields that are the inputs of its blocks.
        hyperparameters: The settings to tune. Their number is one of the figures that a budget can limit.
    """

    name: str
    build: Callable[..., RankingModel]
    paper: str
    views: tuple[str, ...]
    hyperparameters: tuple[Hyperparameter, ...]

    @property
    def smallest(self) -> dict[str, Any]:
        """The arguments of the cheapest model in range, for tests and quick trials."""
        return {parameter.name: parameter.lowest for parameter in self.hyperparameters}


_ARCHITECTURES: dict[str, Architecture] = {}


def architecture(
    paper: str, hyperparameters: Iterable[Hyperparameter], views: tuple[str, ...] = ("flat",)
) -> Callable[[Callable[..., RankingModel]], Callable[..., RankingModel]]:
    """Registers a function from features and tasks to a model under the name of the function.

    Args:
        paper: Authors, title, year and URL.
        hyperparameters: The settings to tune: keyword arguments of the function, with the same defaults.
        views: Views of the fields that are the inputs of its blocks.

    Returns:
        A decorator that returns the function unchanged.
    """

    def register(build: Callable[..., RankingModel]) -> Callable[..., RankingModel]:
        row = Architecture(build.__name__, build, paper, views, tuple(hyperparameters))
        _ARCHITECTURES[row.name] = row
        return build

    return register


def names() -> list[str]:
    """Returns the names of all architectures.

    >>> "pinterest_launch" in names()
    True
    """
    return sorted(_ARCHITECTURES)


def get(name: str) -> Architecture:
    """Returns the registry entry of an architecture.

    Args:
        name: Name of the architecture.

    Raises:
        ValueError: If there is no such architecture. The message contains the closest name.

    >>> get("pinterest_baseline").views
    ('flat',)
    """
    if not isinstance(name, str) or name not in _ARCHITECTURES:
        near = get_close_matches(str(name), _ARCHITECTURES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"`name` must be one of {names()}. Received: {name!r}.{hint}")
    return _ARCHITECTURES[name]
