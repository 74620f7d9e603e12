"""Inputs and numbers of output tokens of the modules of a DHEN layer."""

from collections.abc import Sequence
from typing import Any

import keras

from kranking._core import check_positive_int, check_positive_ints
from kranking.layers._contract._flow import leaves, select_inputs, takes_of
from kranking.layers._contract._open_arguments import fill_open_arguments
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._tokens import check_tokens

OPEN = ("field_dims", "num_tokens")
FROM_TOKENS = ("tokens", "flat", None)


def takes_of_modules(modules: Sequence[keras.layers.Layer]) -> Any:
    """Returns `"tokens"`, or a tuple of it and the views that cannot be derived from tokens."""
    wanted = (kind for module in modules for kind in leaves(takes_of(module)))
    beside = tuple(dict.fromkeys(kind for kind in wanted if kind not in FROM_TOKENS))
    return ("tokens", *beside) if beside else "tokens"


def by_view(takes: Any, inputs: Any) -> dict[Any, Any]:
    """Returns a dict of the inputs of a layer, or of their shapes, by view name."""
    return {"tokens": inputs} if takes == "tokens" else dict(zip(takes, inputs, strict=True))


def check_modules(modules: Any) -> list[keras.layers.Layer]:
    """Returns the modules as a list; raises `ValueError` unless they are distinct layers."""
    good = isinstance(modules, list | tuple) and len(modules) > 0
    if not good or not all(isinstance(module, keras.layers.Layer) for module in modules):
        raise ValueError(
            f"`modules` must be a non-empty list of Keras layers. Received: modules={modules!r}"
        )
    if len({id(module) for module in modules}) < len(modules):
        raise ValueError(
            "`modules` must be distinct layers: a repeated layer would share its weights. "
            f"Received: {[module.name for module in modules]}"
        )
    return list(modules)


def check_later_modules(modules: Sequence[keras.layers.Layer], position: int) -> None:
    """Raises `ValueError` if a module of a later layer takes a view of the fields."""
    for module in modules:
        lost = [kind for kind in leaves(takes_of(module)) if kind not in (*FROM_TOKENS, "numeric")]
        if lost:
            raise ValueError(
                f"`modules` of layer {position} read tokens that earlier layers have mixed, and raw "
                "numbers; the fields' own views reach the first layer alone. Put the module there. "
                f"Received: {module.name!r}, which takes {lost[0]!r}"
            )


def copy_if_open(module: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a copy of an unbuilt module with arguments to fill in, otherwise the module itself.

    Cost and shapes are computed for arbitrary input shapes, so values filled in for one of them
    must not persist.
    """
    if module.built or not _is_open(module):
        return module
    config = keras.saving.serialize_keras_object(module)
    return keras.saving.deserialize_keras_object(config)


def _is_open(layer: Any) -> bool:
    inner = layer.layers if isinstance(layer, keras.Sequential) else ()
    inner = inner or getattr(layer, "inner_layers", ())
    return any(getattr(layer, name, 0) is None for name in OPEN) or any(map(_is_open, inner))


def check_num_tokens(num_tokens: Any, count: int, ensemble: str) -> Any:
    """Returns the validated setting; raises `ValueError` unless it fits `count` modules."""
    if num_tokens is None or isinstance(num_tokens, int):
        check_positive_int("num_tokens", num_tokens, optional=True)
        return num_tokens
    num_tokens = check_positive_ints("num_tokens", num_tokens)
    if len(num_tokens) != count or (ensemble != "concat" and len(set(num_tokens)) > 1):
        raise ValueError(
            f"`num_tokens` must have one entry per module, {count}, all equal in a sum. "
            f"Received: num_tokens={num_tokens}, ensemble={ensemble!r}"
        )
    return num_tokens


def planned(layer: Any, modules: Sequence[Any], input_shape: Any) -> list[tuple[Any, Any, int]]:
    """Returns the input shape, output shape and number of tokens of each module.

    Also fills in arguments of the modules that are `None`.

    Args:
        layer: The DHEN layer.
        modules: Its modules, or copies of them.
        input_shape: Input shape of the layer.
    """
    given = check_given(layer, input_shape)
    shape = given["tokens"]
    tokens, dim = check_tokens(layer, shape)
    made = {**given, None: shape, "flat": (shape[0], tokens * dim)}
    views = [select_inputs(made, takes_of(module)) for module in modules]
    for module in modules:
        fill_open_arguments(module, field_dims=(dim,) * tokens)
    plan = []
    counts = _token_counts(layer, modules, views, tokens)
    for module, view, count in zip(modules, views, counts, strict=True):
        # In a nested DHEN, `num_tokens` is the share of each of its modules.
        if getattr(module, "shows_fields", True):
            fill_open_arguments(module, num_tokens=count)
        output = tuple(module.compute_output_shape(view))
        fits = len(output) == 2 or (len(output) == 3 and output[-1] == dim)
        if not fits or None in output[1:]:
            raise ValueError(
                f"A module of `{layer.name}` must output a flat vector, or tokens of the input's dim, "
                f"{dim}. Received: {module.name!r} with output shape {output}"
            )
        plan.append((view, output, count))
    return plan


def check_given(layer: Any, input_shape: Any) -> dict[Any, Any]:
    """Returns the shape of each view that a layer takes; raises `ValueError` unless all are present."""
    shapes, takes = shapes_of(input_shape), layer.takes
    if len(shapes) != (1 if takes == "tokens" else len(takes)):
        raise ValueError(
            f"`{layer.name}` takes {takes}, since its modules do. Received: input_shape={shapes}"
        )
    return by_view(takes, shapes[0] if takes == "tokens" else shapes)


def _token_counts(layer: Any, modules: Any, views: Any, tokens: int) -> list[int]:
    """Returns the number of tokens of each module in the ensemble."""
    if isinstance(layer.num_tokens, int):
        return [layer.num_tokens] * len(modules)
    if layer.num_tokens is not None:
        return list(layer.num_tokens)
    own = [_own_count(module, view) for module, view in zip(modules, views, strict=True)]
    return _split(own, tokens) if layer.ensemble == "concat" else _equal(layer.name, own, tokens)


def _own_count(module: Any, shape: Any) -> int | None:
    """Returns the number of output tokens of a module with an explicit `num_tokens`, otherwise `None`."""
    if getattr(module, "num_tokens", None) is None or not getattr(module, "shows_fields", True):
        return None
    output = module.compute_output_shape(shape)
    return output[1] if len(output) == 3 else None


def _split(own: Sequence[int | None], tokens: int) -> list[int]:
    """Splits the remaining tokens evenly among modules without a count, at least one each."""
    left = tokens - sum(count for count in own if count is not None)
    waiting = sum(count is None for count in own)
    counts = []
    for count in own:
        if count is None:
            count = max(1, -(-left // waiting))
            left, waiting = left - count, waiting - 1
        counts.append(count)
    return counts


def _equal(name: str, own: Sequence[int | None], tokens: int) -> list[int]:
    """Returns equal counts: the explicit one of the modules, or the number of input tokens."""
    told = {count for count in own if count is not None}
    if len(told) > 1:
        raise ValueError(
            f"`{name}` sums its modules, which must output equal numbers of tokens: set `num_tokens`. "
            f"Received: modules with {sorted(told)} tokens"
        )
    return [min(told, default=tokens)] * len(own)
