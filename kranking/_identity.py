"""Identity of settings and code: what differs between two runs, by name."""

import dis
import functools
import hashlib
import json
import os
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

_LONGEST = 80  # characters of a value in a message
_MOST = 8  # differences in a message
_MISSING = "nothing"
_PACKAGES = {"builtins", "jax", "keras", "keras_tuner", "kranking", "numpy", "tensorflow", "torch"}
_MEMBERS = types.FunctionType | staticmethod | classmethod | property | int | float | str | tuple


def differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yields path, earlier text and present text of each difference between two nested values.

    >>> list(differences({"a": [1, {"name": "b", "c": 2}]}, {"a": [1, {"name": "b", "c": 3}]}))
    [("a: 'b': c", '2', '3')]
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*now, *before]):
            yield from differences(
                before.get(key, _MISSING), now.get(key, _MISSING), f"{path}: {key}".lstrip(": ")
            )
    elif _are_lists(before, now) and len(before) == len(now) and _nested(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            label = repr(other["name"]) if isinstance(other, Mapping) and "name" in other else index
            yield from differences(one, other, f"{path}: {label}")
    elif before != now:
        yield path, summary(before), summary(now)


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Returns the differences between two settings as text, empty if there are none.

    >>> changed({"seed": 0}, {"seed": 1, "log": {"train": "a"}})
    'seed (0 before, now 1), log'
    """
    found = list(differences(before, now))
    texts = [p if old is _MISSING else f"{p} ({old} before, now {new})" for p, old, new in found]
    return ", ".join(texts[:_MOST]) + (f" and {len(texts) - _MOST} more" if texts[_MOST:] else "")


def summary(value: Any) -> str:
    """Returns a value as text; a long one as its beginning, its length and a hash of all of it.

    >>> summary(["DE", "FR"]), summary(list(range(1000)))
    ("['DE', 'FR']", '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9,… (1,000 values, 3e726f1b6f58)')
    """
    if value is _MISSING:
        return _MISSING
    text = repr(list(value) if isinstance(value, tuple) else value)
    if len(text) <= _LONGEST:
        return text
    size = f"{len(value):,} values, " if isinstance(value, list | tuple | Mapping) else ""
    return f"{text[:30]}… ({size}{_hash(text)})"


def short(value: Any) -> Any:
    """Returns a value, or its `summary` if it is long."""
    return value if len(repr(value)) <= _LONGEST else summary(value)


def fingerprint(value: Any, *, mutable: bool = True) -> Any:
    """Returns what identifies a value, as JSON: its content, or hashes of its code, without addresses.

    A function is identified by its bytecode, defaults, and what it reads from outside: constants, and the
    functions and classes of its own module. Its name, its place and its docstring do not count. An object
    is identified by its class and its attributes, an object inside by its class and its Keras config.

    Args:
        value: A value, function, class or object.
        mutable: Whether lists, dicts and sets that a function reads from outside count. They do not for
            callbacks, which write into them.
    """
    found = _Identity(mutable)
    if _is_plain(value):
        return found(value)
    return [found(type(value)), {name: found(part) for name, part in _attributes(value).items()}]


class _Identity:
    """The identity of values inside one value; functions and classes may refer to each other."""

    def __init__(self, mutable: bool):
        self.mutable = mutable
        self.known: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return repr(value) if isinstance(value, float) and value != value else value
        if isinstance(value, bytes | complex | range | slice | os.PathLike | date):
            return repr(value)
        if isinstance(value, np.ndarray | np.generic):
            return [str(value.dtype), list(value.shape), _hash(value.tobytes())]
        if isinstance(value, Mapping):
            return {str(key): self(part) for key, part in value.items()}
        if isinstance(value, set | frozenset):
            return sorted((self(part) for part in value), key=repr)
        if isinstance(value, list | tuple):
            return [self(part) for part in value]
        if isinstance(value, types.CodeType):
            return _hash(json.dumps(_code(value)))
        if isinstance(value, functools.partial):
            return self([value.func, value.args, value.keywords])
        if isinstance(value, types.MethodType):
            return [self(value.__func__), self(type(value.__self__))]
        if isinstance(value, types.FunctionType | type):
            if id(value) not in self.known:
                self.known[id(value)] = f"#{len(self.known)}"  # if it refers to itself
                known = self._class(value) if isinstance(value, type) else self._function(value)
                self.known[id(value)] = known
            return self.known[id(value)]
        if is_dataclass(value) or isinstance(value, types.SimpleNamespace):
            return [self(type(value)), self(_attributes(value))]
        if callable(getattr(value, "get_config", None)):
            return [self(type(value)), self(value.get_config())]
        named = isinstance(value, types.ModuleType | types.BuiltinFunctionType | np.ufunc)
        return value.__name__ if named else [self(type(value))]

    def _function(self, function: Any) -> str:
        code = function.__code__
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        read = {n: function.__globals__[n] for n in _globals(code) if n in function.__globals__}
        read |= {name: cell.cell_contents for name, cell in cells if _is_set(cell)}
        written = set(_written(code))
        kept = {
            name: self(part) if _is_of(part, function.__module__) else _name_of(part)
            for name, part in sorted(read.items())
            if name not in written and (self.mutable or not isinstance(part, list | dict | set))
        }
        defaults = [self(function.__defaults__), self(function.__kwdefaults__)]
        return _hash(json.dumps([_code(code, function.__doc__), defaults, kept]))

    def _class(self, kind: type) -> Any:
        """Returns the name of a class, with a hash of its code unless it is of an installed package."""
        name = f"{kind.__module__}.{kind.__qualname__}"
        if kind.__module__.split(".")[0] in _PACKAGES:
            return name
        members = {
            key: self(getattr(part, "__func__", getattr(part, "fget", part)))
            for key, part in vars(kind).items()
            if not (key.startswith("__") and isinstance(part, str | int | tuple | None))
            and isinstance(part, _MEMBERS)
        }
        bases = [self(base) for base in kind.__bases__ if base is not object]
        return [kind.__qualname__, _hash(json.dumps([members, bases]))]


def plain_json(value: Any) -> Any:
    """Returns a value as it comes back from a JSON file, with the fingerprints of what is not JSON."""
    return json.loads(json.dumps(value, default=fingerprint))


def read_settings(path: Path) -> dict[str, Any] | None:
    """Returns the settings in a file, empty if it is damaged, or `None` if there is none."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _code(code: types.CodeType, doc: str | None = None) -> Any:
    """Returns bytecode, constants and names, without lines, file and docstring."""
    constants = [
        _code(part) if isinstance(part, types.CodeType) else _constant(part)
        for part in code.co_consts
        if doc is None or part is not doc
    ]
    names = [list(part) for part in (code.co_names, code.co_varnames, code.co_freevars)]
    return [code.co_code.hex(), constants, names]


def _constant(value: Any) -> str:
    """Returns a constant as text; elements of sets have no order."""
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _globals(code: types.CodeType) -> set[str]:
    """Returns the names of the globals that a function or a function inside it reads."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    inside = [_globals(part) for part in code.co_consts if isinstance(part, types.CodeType)]
    return names.union(*inside)


def _written(code: types.CodeType) -> Iterator[str]:
    """Yields the names outside of a function that it assigns, such as counters: state, not code."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            yield instruction.argval
        if instruction.opname == "STORE_DEREF" and instruction.argval in code.co_freevars:
            yield instruction.argval


def _attributes(value: Any) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**found, **getattr(value, "__dict__", {})}


def _is_plain(value: Any) -> bool:
    """Whether a value is data or code, rather than an object with attributes."""
    kinds = str | int | float | None | list | tuple | set | frozenset | Mapping | np.ndarray
    code = types.FunctionType | types.MethodType | types.BuiltinFunctionType | type | types.CodeType
    other = functools.partial | bytes | complex | range | slice | os.PathLike | date
    return isinstance(value, kinds | code | other) or is_dataclass(value)


def _is_of(value: Any, module: str) -> bool:
    """Whether a value belongs to the code of a module, rather than to an imported one."""
    return not isinstance(value, type | types.FunctionType) or value.__module__ == module


def _name_of(value: Any) -> str:
    return (
        f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}"
    )


def _is_set(cell: Any) -> bool:
    try:
        return cell.cell_contents is not _MISSING
    except ValueError:  # a variable that is assigned later
        return False


def _are_lists(*values: Any) -> bool:
    return all(isinstance(value, list | tuple) for value in values)


def _nested(values: Iterable[Any]) -> bool:
    return any(isinstance(value, Mapping | list) for value in values)


def _hash(value: str | bytes) -> str:
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()[:12]
