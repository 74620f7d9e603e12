"""A variant of a comparison, rebuilt for each seed."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kranking import architectures
from kranking._identity import fingerprint
from kranking.data import LogFiles
from kranking.models import RankingModel, without_weights
from kranking.models.internal import model_config
from kranking.training.internal import layers_in

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Variant:
    """A named function that creates a model.

    Args:
        name: Name in the report.
        make: Zero-argument callable that returns the untrained model.
        settings: Architecture and arguments; `None` for a callable, see `describe`.
        hyperparameters: Number of settings to tune; `None` if unknown.
    """

    name: str
    make: Callable[[], RankingModel]
    settings: Any
    hyperparameters: int | None


def check_file_name(what: str, name: str) -> None:
    """Raises `ValueError` unless a name can be part of a file name."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{what} is part of file names and must consist of letters, digits and `_.+-`, beginning with "
            f"a letter or digit. Received: {name!r}"
        )


def resolve(name: str, given: Any, log: LogFiles) -> Variant:
    """Creates a variant from a callable, the name of an architecture, or `(name, arguments)`.

    Args:
        name: Name of the variant.
        given: One of the above.
        log: The log with features and tasks.
    """
    check_file_name("The name of a variant", name)
    if callable(given):
        make_it: Any = given
        return Variant(name, make_it, None, getattr(given, "hyperparameters", None))
    architecture, arguments = (given, {}) if isinstance(given, str) else _pair(name, given)
    row = architectures.get(architecture)
    settings = {
        "architecture": architecture,
        "arguments": dict(arguments),
        "code": fingerprint(row.build),
    }

    def make() -> RankingModel:
        return row.build(log.features, log.tasks, **arguments)

    return Variant(name, make, settings, len(row.hyperparameters))


def describe(variant: Variant) -> Any:
    """Returns the settings of a variant or, for a callable, hashes of the model and of custom layers.

    For a callable that raises, it returns the type of the error, which the comparison reports later.
    """
    if variant.settings is not None:
        return variant.settings
    try:
        with without_weights():
            model = variant.make()
        config = model_config(model)
    except Exception as error:  # custom code may raise anything
        return {"fails": type(error).__name__}
    text = json.dumps(config, sort_keys=True)
    code = {type(layer).__qualname__: fingerprint(type(layer)) for layer in layers_in(model)}
    custom = {name: one for name, one in sorted(code.items()) if isinstance(one, list)}
    return {"model": hashlib.sha256(text.encode()).hexdigest()[:16], "code": custom}


def _pair(name: str, given: Any) -> tuple[str, Mapping[str, Any]]:
    good = isinstance(given, tuple | list) and len(given) == 2
    if not good or not isinstance(given[0], str) or not isinstance(given[1], Mapping):
        raise ValueError(
            f"Variant {name!r} must be a zero-argument callable, the name of an architecture, or "
            f"(name, arguments). Received: {given!r}"
        )
    return given[0], given[1]
