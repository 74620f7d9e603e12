"""What the modules of a DHEN layer read and how many tokens each of them gives."""

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
    """Returns `"tokens"`, or a tuple of it and of the views that modules want beside what tokens give."""
    wanted = (kind for module in modules for kind in leaves(takes_of(module)))
    beside = tuple(dict.fromkeys(kind for kind in wanted if kind not in FROM_TOKENS))
    return ("tokens", *beside) if beside else "tokens"


def by_view(takes: Any, inputs: Any) -> dict[Any, Any]:
    """Returns the inputs of a layer, or their shapes, by the names of the views that it takes."""
    return {"tokens": inputs} if takes == "tokens" else dict(zip(takes, inputs, strict=True))


def check_modules(modules: Any) -> list[keras.layers.Layer]:
    """Returns the modules as a list, or raises unless they are different layers."""
    good = isinstance(modules, list | tuple) and len(modules) > 0
    if not good or not all(isinstance(module, keras.layers.Layer) for module in modules):
        raise ValueError(
            f"`modules` must be a list of Keras layers, not empty. Received: modules={modules!r}"
        )
    if len({id(module) for module in modules}) < len(modules):
        raise ValueError(
            "`modules` must be different layers: one layer twice would share its weights. "
            f"Received: {[module.name for module in modules]}"
        )
    return list(modules)


def check_later_modules(modules: Sequence[keras.layers.Layer], position: int) -> None:
    """Raises unless the modules of a layer that is not the first do without the fields."""
    for module in modules:
        lost = [kind for kind in leaves(takes_of(module)) if kind not in (*FROM_TOKENS, "numeric")]
        if lost:
            raise ValueError(
                f"`modules` of layer {position} read tokens that earlier layers have mixed, and raw "
                "numbers; the fields' own views reach the first layer alone. Put the module there. "
                f"Received: {module.name!r}, which takes {lost[0]!r}"
            )


def copy_if_open(module: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a copy of a module that is not built and leaves something open, otherwise the module.

    Cost and shapes are asked for at any input shape: what is filled in for one must not stay.
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
    """Returns the setting as a layer keeps it, or raises unless it suits `count` modules."""
    if num_tokens is None or isinstance(num_tokens, int):
        check_positive_int("num_tokens", num_tokens, optional=True)
        return num_tokens
    num_tokens = check_positive_ints("num_tokens", num_tokens)
    if len(num_tokens) != count or (ensemble != "concat" and len(set(num_tokens)) > 1):
        raise ValueError(
            f"`num_tokens` must hold one number for each of {count} modules, equal numbers in a sum. "
            f"Received: num_tokens={num_tokens}, ensemble={ensemble!r}"
        )
    return num_tokens


def planned(layer: Any, modules: Sequence[Any], input_shape: Any) -> list[tuple[Any, Any, int]]:
    """Returns what each module reads, what it gives, and its number of tokens in the ensemble.

    Fills in what the modules leave open on the way.

    Args:
        layer: The DHEN layer.
        modules: Its modules, or copies of them.
        input_shape: What the layer reads.
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
        if getattr(
            module, "shows_fields", True
        ):  # in a DHEN inside, it is the share of each module
            fill_open_arguments(module, num_tokens=count)
        output = tuple(module.compute_output_shape(view))
        fits = len(output) == 2 or (len(output) == 3 and output[-1] == dim)
        if not fits or None in output[1:]:
            raise ValueError(
                f"A module of `{layer.name}` must give a flat vector, or tokens of the input's dim, "
                f"{dim}. Received: {module.name!r}, which gives {output}"
            )
        plan.append((view, output, count))
    return plan


def check_given(layer: Any, input_shape: Any) -> dict[Any, Any]:
    """Returns the shape of each view that a layer takes, or raises unless all are there."""
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
    """Returns the number of tokens of a module that was told one."""
    if getattr(module, "num_tokens", None) is None or not getattr(module, "shows_fields", True):
        return None
    output = module.compute_output_shape(shape)
    return output[1] if len(output) == 3 else None


def _split(own: Sequence[int | None], tokens: int) -> list[int]:
    """Shares what the told modules leave of the input's tokens evenly, at least one each."""
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
    """Returns every module the number that one was told, or that of the input."""
    told = {count for count in own if count is not None}
    if len(told) > 1:
        raise ValueError(
            f"`{name}` sums its modules, which must give equally many tokens: set `num_tokens`. "
            f"Received: modules that give {sorted(told)}"
        )
    return [min(told, default=tokens)] * len(own)
