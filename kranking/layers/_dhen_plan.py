"""What the modules of a DHEN layer read and how many tokens each of them gives."""

from collections.abc import Sequence
from typing import Any

import keras

from kranking._core import check_positive_int, check_positive_ints
from kranking.layers._flow import fill, takes_of
from kranking.layers._shapes import shapes_of
from kranking.layers._tokens import check_tokens

OPEN = ("field_dims", "num_tokens")
INPUTS = ("tokens", "flat", "numeric", None)


def arranged(made: dict[Any, Any], takes: Any) -> Any:
    """Gives a module its input from what each kind of input is: a list where it takes several."""
    return [arranged(made, t) for t in takes] if isinstance(takes, tuple | list) else made[takes]


def leaves(takes: Any) -> list[Any]:
    """Gives the kinds of input that a module takes."""
    return [v for t in takes for v in leaves(t)] if isinstance(takes, tuple | list) else [takes]


def check_modules(modules: Any) -> list[keras.layers.Layer]:
    """Gives the modules as a list, or raises unless they are different layers that read tokens."""
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
    for module in modules:
        unknown = [kind for kind in leaves(takes_of(module)) if kind not in INPUTS]
        if unknown:
            raise ValueError(
                "`modules` must take 'tokens', 'flat' or 'numeric', which is all that a DHEN layer has. "
                f"Received: {module.name!r}, which takes {unknown[0]!r}"
            )
    return list(modules)


def copy_if_open(module: keras.layers.Layer) -> keras.layers.Layer:
    """Gives a copy of a module that is not built and leaves something open, otherwise the module.

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
    """Gives the setting as a layer keeps it, or raises unless it suits `count` modules."""
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
    """Gives what each module reads, what it gives, and its number of tokens in the ensemble.

    Fills in what the modules leave open on the way.

    Args:
        layer: The DHEN layer.
        modules: Its modules, or copies of them.
        input_shape: What the layer reads.
    """
    shapes = shapes_of(input_shape)
    tokens, dim = check_tokens(layer, shapes[0])
    if len(shapes) != 1 + (layer.takes != "tokens"):
        raise ValueError(
            f"`{layer.name}` takes {layer.takes}, since its modules do. Received: input_shape={shapes}"
        )
    flat = (shapes[0][0], tokens * dim)
    made = {"tokens": shapes[0], None: shapes[0], "flat": flat, "numeric": shapes[-1]}
    views = [arranged(made, takes_of(module)) for module in modules]
    for module in modules:
        fill(module, field_dims=(dim,) * tokens)
    plan = []
    counts = _token_counts(layer, modules, views, tokens)
    for module, view, count in zip(modules, views, counts, strict=True):
        if getattr(
            module, "shows_fields", True
        ):  # in a DHEN inside, it is the share of each module
            fill(module, num_tokens=count)
        output = tuple(module.compute_output_shape(view))
        fits = len(output) == 2 or (len(output) == 3 and output[-1] == dim)
        if not fits or None in output[1:]:
            raise ValueError(
                f"A module of `{layer.name}` must give a flat vector, or tokens of the input's dim, "
                f"{dim}. Received: {module.name!r}, which gives {output}"
            )
        plan.append((view, output, count))
    return plan


def _token_counts(layer: Any, modules: Any, views: Any, tokens: int) -> list[int]:
    """Gives the number of tokens of each module in the ensemble."""
    if isinstance(layer.num_tokens, int):
        return [layer.num_tokens] * len(modules)
    if layer.num_tokens is not None:
        return list(layer.num_tokens)
    own = [_own_count(module, view) for module, view in zip(modules, views, strict=True)]
    return _split(own, tokens) if layer.ensemble == "concat" else _equal(layer.name, own, tokens)


def _own_count(module: Any, shape: Any) -> int | None:
    """Gives the number of tokens of a module that was told one."""
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
    """Gives every module the number that one was told, or that of the input."""
    told = {count for count in own if count is not None}
    if len(told) > 1:
        raise ValueError(
            f"`{name}` sums its modules, which must give equally many tokens: set `num_tokens`. "
            f"Received: modules that give {sorted(told)}"
        )
    return [min(told, default=tokens)] * len(own)
