"""Helpers shared by all subpackages: registration, argument checks, initializer copies, versions."""

import importlib.metadata
import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import keras

Shape = tuple[int | None, ...]

_T = TypeVar("_T", bound=type | Callable)


def serializable(cls: _T) -> _T:
    """Registers `cls` with Keras as `kranking>ClassName`, the name stored in saved files."""
    return keras.saving.register_keras_serializable(package="kranking")(cls)


def fresh(initializer: Any, index: int = 0) -> Any:
    """Returns a copy of an initializer, since one instance returns equal values on every call.

    Copies of a seeded initializer would still return equal values, so each copy within a layer
    takes a different `index`, which is added to an integer seed.
    """
    initializer = keras.initializers.get(initializer)
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        config["seed"] += index
    return type(initializer).from_config(config)


def check_positive_int(
    name: str,
    value: Any,
    *,
    optional: bool = False,
    minimum: int = 1,
    maximum: int | None = None,
) -> None:
    """Raises `ValueError` unless `value` is an integer of at least `minimum` and at most `maximum`."""
    if optional and value is None:
        return
    good = isinstance(value, int) and not isinstance(value, bool) and value >= minimum
    if not good or (maximum is not None and value > maximum):
        kind = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
        kind += "" if maximum is None else f", at most {maximum:,}"
        raise ValueError(
            f"`{name}` must be {kind}{' or None' if optional else ''}. Received: {name}={value!r}"
        )


def check_positive_ints(name: str, value: Any, *, empty: bool = False) -> tuple[int, ...]:
    """Returns `value` as a tuple; raises `ValueError` unless it is a list of positive integers."""
    good = isinstance(value, list | tuple) and (empty or len(value) > 0)
    if not good or any(not isinstance(v, int) or isinstance(v, bool) or v < 1 for v in value):
        raise ValueError(
            f"`{name}` must be a list of positive integers{'' if empty else ', not empty'}. "
            f"Received: {name}={value!r}"
        )
    return tuple(value)


def check_number(
    name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, optional: bool = False
) -> None:
    """Raises `ValueError` unless `value` is a finite number in `[low, high]`."""
    if optional and value is None:
        return
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not low <= value <= high:
        kind = "finite number" if value in (math.inf, -math.inf) else "number"
        raise ValueError(
            f"`{name}` must be a {kind} in [{low:g}, {high:g}]{' or None' if optional else ''}. "
            f"Received: {name}={value!r}"
        )


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raises `ValueError` unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {list(choices)}. Received: {name}={value!r}")


def as_tuple(name: str, value: Any, of: str, *kinds: type) -> tuple[Any, ...]:
    """Returns a list of things as a tuple; raises `ValueError` for one thing, text or nothing.

    Args:
        name: Name of the argument.
        value: The argument.
        of: What the list contains, for the error.
        *kinds: Classes, of one of which each is an object; none means any.
    """
    # The order of a set of names differs between two processes.
    if not isinstance(value, Iterable) or isinstance(
        value, str | bytes | Mapping | set | frozenset
    ):
        raise ValueError(f"`{name}` must be a list of {of}. Received: {name}={value!r}")
    values = tuple(value)
    for one in values if kinds else ():
        check_instance(name, one, *kinds)
    return values


def check_mapping(name: str, value: Any, of: str) -> None:
    """Raises `ValueError` unless `value` is a dict, or behaves like one."""
    if not isinstance(value, Mapping):
        raise ValueError(f"`{name}` must be a dict of {of}. Received: {name}={value!r}")


def check_instance(name: str, value: Any, *kinds: type) -> None:
    """Raises `ValueError` unless `value` is an object of one of the classes."""
    if not isinstance(value, kinds):
        words = " or ".join(kind.__name__ for kind in kinds)
        found = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
        raise ValueError(f"`{name}` must be an object of {words}. Received: {name}={found}")


def check_known_width(layer: keras.layers.Layer, input_shape: Shape) -> int:
    """Returns the last dimension of `input_shape`; raises `ValueError` if it is unknown."""
    width = input_shape[-1]
    if width is None:
        raise ValueError(
            f"`{layer.name}` needs a known last dimension to create its weights. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    return width


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of Python, kranking and the installed ones among `packages`."""
    found = {"python": platform.python_version()}
    for package in ("kranking", *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def finite(value: Any) -> Any:
    """Returns `value` with NaN and infinities, which JSON cannot represent, replaced by `None`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    return [finite(part) for part in value] if isinstance(value, list | tuple) else value
