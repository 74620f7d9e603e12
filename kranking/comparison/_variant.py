"""One of the models that are compared, rebuilt untrained for each seed."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from kranking import architectures
from kranking.data import LogFiles
from kranking.models import RankingModel, without_weights

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Variant:
    """A model's recipe.

    Args:
        name: What it is called in the report.
        make: Zero-argument callable that gives the untrained model.
        settings: Its settings; `None` of a callable, see `describe`.
        hyperparameters: Number of settings to tune; `None` if nobody said.
    """

    name: str
    make: Callable[[], RankingModel]
    settings: Any
    hyperparameters: int | None


def check_file_name(what: str, name: str) -> None:
    """Raises `ValueError` unless a name can be a part of file names."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{what} is a part of file names: letters, digits and `_.+-`, a letter or digit "
            f"first. Received: {name!r}"
        )


def resolve(name: str, given: Any, log: LogFiles) -> Variant:
    """Makes a variant of a callable, an architecture's name, or a name and arguments.

    Args:
        name: The variant's name.
        given: As above.
        log: What its features and tasks are.
    """
    check_file_name("A variant's name", name)
    if callable(given):
        make_it: Any = given
        return Variant(name, make_it, None, getattr(given, "hyperparameters", None))
    architecture, arguments = (given, {}) if isinstance(given, str) else _pair(name, given)
    row = architectures.get(architecture)
    settings = {"architecture": architecture, "arguments": dict(arguments)}

    def make() -> RankingModel:
        return row.build(log.features, log.tasks, **arguments)

    return Variant(name, make, settings, len(row.hyperparameters))


def describe(variant: Variant) -> Any:
    """Says what a variant is: settings, or of a callable a hash of the model that it makes.

    A callable that cannot make its model is described by its failure, which its row will tell.
    """
    if variant.settings is not None:
        return variant.settings
    try:
        with without_weights():
            model = variant.make()
        config = keras.saving.serialize_keras_object(model)
    except Exception as error:  # a user's own code
        return {"fails": type(error).__name__}
    text = json.dumps(_without_names(config), sort_keys=True, default=str)
    return {"model": hashlib.sha256(text.encode()).hexdigest()[:16]}


def _without_names(value: Any) -> Any:
    """Layers are numbered anew in each process: their names say nothing."""
    if isinstance(value, Mapping):
        return {k: _without_names(v) for k, v in value.items() if k != "name"}
    return [_without_names(v) for v in value] if isinstance(value, list | tuple) else value


def _pair(name: str, given: Any) -> tuple[str, Mapping[str, Any]]:
    good = isinstance(given, tuple | list) and len(given) == 2
    if not good or not isinstance(given[0], str) or not isinstance(given[1], Mapping):
        raise ValueError(
            f"Variant {name!r} must be a zero-argument callable, an architecture's name, or "
            f"(name, arguments). Received: {given!r}"
        )
    return given[0], given[1]
