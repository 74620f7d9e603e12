"""The identity of a model and of its optimizer, independent of the names that Keras numbers."""

import codecs
import json
import marshal
import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from kranking._identity import fingerprint, short
from kranking._process import no_warnings
from kranking.features.internal import to_config


def model_config(model: Any) -> Any:
    """Returns the configuration of a model as JSON, without the names that Keras gives to layers.

    Keras numbers the layers of a process, as in `dense_7`. Names that a user has chosen remain. A model
    without a configuration is described by its layers and the shapes of its weights.
    """
    try:
        with no_warnings():  # Keras warns of lambdas, which are not loaded here
            config = keras.saving.serialize_keras_object(model)
    except Exception:  # a custom `get_config` may raise anything
        layers = {
            f"layer {i} ({type(layer).__name__})": [list(w.shape) for w in layer.weights]
            for i, layer in enumerate(getattr(model, "layers", []))
        }
        config = {"class_name": type(model).__name__, **layers}
    names: dict[str, str] = {}
    for kind, name in _names(config):
        if re.fullmatch(rf"{_snake(kind)}(_\d+)?", name):
            names.setdefault(name, f"{_snake(kind)}#{len(names)}")
    return json.loads(json.dumps(_renamed(config, names), default=fingerprint))


def model_identity(model: Any) -> dict[str, Any]:
    """Returns what makes the weights of a model mean what they mean, as nested texts by name."""
    whole = model_config(model)
    config = whole.get("config", {})
    if not {"features", "blocks", "tasks", "heads", "dtype"} <= set(config):
        return _summarized(whole)
    described: dict[str, Any] = {"class": type(model).__name__}
    for what, declared in (("feature", model.features), ("task", model.tasks)):
        described[f"{what}s"] = [one.name for one in declared]
        for one in declared:
            known = {k: v for k, v in to_config(one).items() if k != "observed"}
            described[f"{what} {one.name!r}"] = _summarized(known)
    blocks = [block["class_name"] for block in config["blocks"]]
    described |= {"blocks": blocks}
    for index, (kind, block) in enumerate(zip(blocks, config["blocks"], strict=True)):
        described[f"block {index} ({kind})"] = _summarized(block["config"])
    return described | {"heads": _summarized(config["heads"]), "dtype": str(config["dtype"])}


def optimizer_identity(optimizer: Any) -> dict[str, Any]:
    """Returns class and configuration of an optimizer, without name and learning rate."""
    config = keras.saving.serialize_keras_object(optimizer)
    described = {"class": config["class_name"]}
    return described | _summarized(_without(config["config"], ("name", "learning_rate")))


def _names(config: Any) -> Iterator[tuple[str, str]]:
    """Yields class and name of each layer in a configuration, in its order."""
    if isinstance(config, Mapping):
        inner = config.get("config")
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if "class_name" in config and isinstance(name, str):
            yield config["class_name"], name
        for part in config.values():
            yield from _names(part)
    elif isinstance(config, list | tuple):
        for part in config:
            yield from _names(part)


def _renamed(config: Any, names: Mapping[str, str]) -> Any:
    """Replaces names of layers where Keras writes them: `name`, and references to outputs of layers."""
    if isinstance(config, Mapping) and config.get("class_name") == "__lambda__":
        code, *rest = config["config"].get("value") or list(config["config"].values())
        return [fingerprint(marshal.loads(codecs.decode(code.encode(), "base64"))), *rest]
    if isinstance(config, Mapping):
        return {
            key: names.get(part, part)
            if key == "name" and isinstance(part, str)
            else _renamed(part, names)
            for key, part in config.items()
            if key not in ("build_config", "compile_config")
        }
    if isinstance(config, list | tuple):
        if len(config) == 3 and isinstance(config[0], str) and isinstance(config[1], int):
            return [names.get(config[0], config[0]), *config[1:]]
        return [_renamed(part, names) for part in config]
    return config


def _snake(name: str) -> str:
    """Returns a class name as Keras writes it in names of layers, `mlp` for `MLP`."""
    found = re.sub(r"\W+", "", name.rpartition(">")[2])
    found = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", found)
    return re.sub("([a-z])([A-Z])", r"\1_\2", found).lower()


def _summarized(value: Any) -> Any:
    """Replaces long values, such as vocabularies, by texts that identify them."""
    if isinstance(value, Mapping):
        return {key: _summarized(part) for key, part in value.items()}
    nested = isinstance(value, list) and any(isinstance(part, Mapping) for part in value)
    return [_summarized(part) for part in value] if nested else short(value)


def _without(config: Any, names: tuple[str, ...]) -> Any:
    if isinstance(config, Mapping):
        return {key: _without(part, names) for key, part in config.items() if key not in names}
    return [_without(part, names) for part in config] if isinstance(config, list) else config
