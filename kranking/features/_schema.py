"""Serialization, hashes and consistency checks of declarations."""

import hashlib
import json
import math
import warnings
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import fields
from typing import Any

from kranking._core import as_tuple
from kranking.features._categorical import Categorical
from kranking.features._embedding import Embedding
from kranking.features._feature import MAX_ROW_VALUES, Feature, InputSpec, times_config
from kranking.features._ids import BY_TYPE
from kranking.features._numeric import Numeric
from kranking.features._sequence import Pooling, Sequence, TransAct, encoder_config
from kranking.features._task import Task
from kranking.features._times import Times

_KINDS: dict[str, type] = {c.__name__: c for c in (Categorical, Numeric, Embedding, Sequence, Task)}


def to_config(declaration: Feature | Task) -> dict[str, Any]:
    """Returns a declaration as a JSON-serializable dict without defaults.

    >>> to_config(Task("save"))
    {'kind': 'Task', 'name': 'save'}
    """
    config: dict[str, Any] = {"kind": type(declaration).__name__}
    for f in fields(declaration):
        value = getattr(declaration, f.name)
        if f.name == "name" or value != f.default:
            if isinstance(value, Pooling | TransAct):
                value = encoder_config(value)
            elif isinstance(value, Times):
                value = times_config(value)
            config[f.name] = list(value) if isinstance(value, tuple) else value
    if "hash_buckets" in config:
        config = {**config, "dtype": config.get("dtype")}
        if config["dtype"] == BY_TYPE:
            del config["dtype"]
    return config


def from_config(config: dict[str, Any]) -> Any:
    """Creates a declaration from the output of `to_config`."""
    arguments = {
        k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k != "kind"
    }
    kind = _KINDS.get(config.get("kind", ""))
    if kind is None:
        raise ValueError(f"`kind` must be one of {list(_KINDS)}. Received: {config.get('kind')!r}")
    unknown = sorted(set(arguments) - {f.name for f in fields(kind)})
    if unknown:
        raise ValueError(
            f"A {kind.__name__} has no argument {unknown[0]!r}. Received: {sorted(arguments)}. "
            "The declaration may be from another version of kranking."
        )
    if "hash_buckets" in arguments:
        arguments.setdefault("dtype", BY_TYPE)
    return kind(**arguments)


def to_json(declarations: Iterable[Feature | Task]) -> str:
    """Converts declarations to JSON.

    >>> from_json(to_json([Numeric("age")]))[0].name
    'age'
    """
    return json.dumps(_configs(declarations), ensure_ascii=False, indent=1)


def from_json(text: str) -> list[Any]:
    """Creates declarations from the output of `to_json`; raises `ValueError` for other text."""
    try:
        configs = json.loads(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`text` must be the output of `to_json`. Received: {error}") from error
    if not isinstance(configs, list) or not all(isinstance(c, dict) for c in configs):
        raise ValueError(
            "`text` must be the output of `to_json`, a list of declarations. Received: "
            f"{str(text)[:100]!r}"
        )
    return [from_config(config) for config in configs]


def schema_hash(declarations: Iterable[Feature | Task]) -> str:
    """Computes a stable hash of declarations that ignores their `observed` counts.

    >>> schema_hash([Numeric("a")]) == schema_hash([Numeric("a")])
    True
    """
    configs = [{k: v for k, v in c.items() if k != "observed"} for c in _configs(declarations)]
    configs = _canonical(configs)
    text = json.dumps(configs, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _configs(declarations: Any) -> list[dict[str, Any]]:
    given = as_tuple("declarations", declarations, "features and tasks", Feature, Task)
    return [to_config(one) for one in given]


def _canonical(value: Any) -> Any:
    """Replaces 1.0 by 1, since equal declarations must have equal hashes."""
    if isinstance(value, dict):
        return {k: _canonical(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_features(features: SequenceOf[Feature]) -> None:
    """Raises `ValueError` unless names are unique and sequences refer to categorical features."""
    if not features:
        raise ValueError("`features` must contain at least one declaration. Received: none")
    for feature in features:
        if not isinstance(feature, Feature):
            raise ValueError(
                "`features` must be declarations such as kranking.features.Numeric('age'). "
                f"Received: {feature!r}"
            )
    model_inputs(features)
    tables = {f.name for f in features if isinstance(f, Categorical)}
    lists = {f.name for f in features if isinstance(f, Categorical) and f.multivalued}
    for feature in features:
        if not isinstance(feature, Sequence):
            continue
        for argument, target in (("of", feature.of), ("candidate", feature.candidate)):
            if target is not None and target not in tables:
                raise ValueError(
                    f"`{argument}` of sequence {feature.name!r} must be the name of a Categorical. "
                    f"Received: {argument}={target!r}; the categoricals are {sorted(tables)}"
                )
        if feature.candidate in lists:
            raise ValueError(
                f"`candidate` of sequence {feature.name!r} must have one value per row. "
                f"Received: candidate={feature.candidate!r}, which is multi-valued"
            )
    _check_row_size(features)


def _check_row_size(features: SequenceOf[Feature]) -> None:
    """Raises `ValueError` if a row of the log is too large, with the vectors of its lists."""
    by_name = {f.name: f for f in features}
    sizes = {f.name: _row_values(f, by_name) for f in features}
    if sum(sizes.values()) > MAX_ROW_VALUES:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        parts = ", ".join(f"{name!r} has {sizes[name]:,}" for name in largest)
        raise ValueError(
            f"A row must have at most {MAX_ROW_VALUES:,} values: inputs, their vectors, and products of "
            f"attention. Received: {sum(sizes.values()):,} values, of which {parts}. Reduce `max_length` "
            "or widths"
        )


def _row_values(feature: Any, by_name: Mapping[str, Any]) -> int:
    values = sum(math.prod(spec.shape) for spec in feature.inputs().values())
    if isinstance(feature, Sequence):
        length, read = feature.max_length, (feature.of, feature.candidate)
        if all(by_name[name].fitted for name in read if name is not None):
            values += length * event_width(feature, by_name)
        if isinstance(feature.encoder, TransAct):
            values += feature.encoder.num_heads * length**2
    elif feature.fitted:
        values += (getattr(feature, "max_length", None) or 1) * feature.width
    return values


def check_tasks(tasks: SequenceOf[Task]) -> None:
    """Raises `ValueError` unless there is a task and all tasks have different names."""
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(
            f"`tasks` must be at least one kranking.Task, such as kr.Task('save'). Received: {tasks!r}"
        )
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise ValueError(f"`tasks` must have different names. Received: {names}")


def check_no_label_is_read(columns: Iterable[str], tasks: Iterable[Task]) -> None:
    """Raises `ValueError` if features read all columns that state the label of a task; warns of some.

    Args:
        columns: Columns that features read.
        tasks: The tasks.
    """
    columns = set(columns)
    for task in tasks:
        read = [name for name in task.columns if name in columns]
        if len(read) < len(task.columns):
            if read:
                warnings.warn(
                    f"Features read {read}, which the rule {task.when!r:.200} of task {task.name!r} reads, "
                    "too. A column that is only known after the action contains the label, so that the "
                    "model fails on rows that are not labeled yet.",
                    stacklevel=3,
                )
            continue
        what = (
            f"Column {read[0]!r} is the label" if task.rule is None else f"{read} state the label"
        )
        raise ValueError(
            f"{what} of task {task.name!r} and must not be a feature. "
            f"Received: features that read {sorted(columns)}"
        )


def model_inputs(features: Iterable[Feature]) -> dict[str, InputSpec]:
    """Returns all model inputs by name, in the order of the declarations."""
    inputs: dict[str, InputSpec] = {}
    for feature in features:
        for name, spec in feature.inputs().items():
            if name in inputs:
                raise ValueError(
                    f"Two features have a model input called {name!r}. Use another `name` for one of them "
                    "and `column` for the column that it reads."
                )
            inputs[name] = spec
    return inputs


def field_widths(features: Iterable[Feature]) -> dict[str, int]:
    """Returns the width of every field by name, in the order of the declarations."""
    features = as_tuple("features", features, "declarations", Feature)
    by_name = {f.name: f for f in features}
    widths = {}
    for feature in features:
        if isinstance(feature, Sequence):
            widths[feature.name] = feature.encoder.width(event_width(feature, by_name))
        else:
            widths[feature.name] = feature.width
    return widths


def event_width(sequence: Sequence, features: Mapping[str, Any]) -> int:
    """Returns the width of one event: the vectors of its id, its action and the candidate.

    Args:
        sequence: The sequence.
        features: All declarations by name.
    """
    width = features[sequence.of].width
    width += sequence.action_dim if sequence.action is not None else 0
    return width + (features[sequence.candidate].width if sequence.candidate is not None else 0)
