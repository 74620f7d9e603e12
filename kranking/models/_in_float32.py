"""Configurations of models in half precision as those of the same models in float32."""

from typing import Any

import keras

from kranking.features.internal import BoundedFloat32


def float32_config(model: Any) -> dict[str, Any]:
    """Returns the configuration of a model in float32; of one in float16, with its bound of numbers."""
    config = _in_float32(model.get_config())
    bounded = "float16" in (model.compute_dtype, model.encoder.compute_dtype)
    if bounded or isinstance(model.encoder.dtype_policy, BoundedFloat32):
        config["dtype"] = keras.dtype_policies.serialize(BoundedFloat32())
    return config


def _in_float32(value: Any) -> Any:
    """Replaces each dtype policy in half precision; layers hold theirs and those of inner layers."""
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy" and _is_half(value["config"]["name"]):
            return {**value, "config": {**value["config"], "name": "float32"}}
        return {name: _of_key(name, part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_in_float32, value))
    return value


def _of_key(name: str, part: Any) -> Any:
    is_policy = name == "dtype" and isinstance(part, str) and _is_half(part)
    return "float32" if is_policy else _in_float32(part)


def _is_half(name: str) -> bool:
    return name.removeprefix("mixed_") in ("float16", "bfloat16")
