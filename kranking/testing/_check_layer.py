"""The contract of a layer, as one call."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kranking.testing._behaviour import (
    check_dtype,
    check_file,
    check_oracle,
    check_rows,
    check_training,
    check_work,
)
from kranking.testing._case import Case
from kranking.testing._structure import check_build, check_config, check_shapes, check_starts


def check_layer(
    cls: type,
    config: dict[str, Any] | Callable[[], dict[str, Any]],
    input_shape: tuple[int, ...] | list[tuple[int, ...]],
    oracle: Callable[..., np.ndarray] | None = None,
    *,
    make_inputs: Callable[[np.random.Generator, int], Any] | None = None,
    tolerance: float = 1e-5,
    idle: tuple[str, ...] = (),
    work: bool = True,
) -> None:
    """Checks that a layer keeps the contract that every layer of this package keeps.

    It builds completely from a shape, starts its kernels apart, round-trips its configuration,
    declares its shapes, equals its oracle, keeps rows apart, obeys a dtype policy, survives a
    `.keras` file, learns with every weight, and costs what it says. `|Δ| <= tolerance · (1 + |y|)`
    throughout.

    Args:
        cls: The layer's class.
        config: Its constructor's arguments; or a callable that makes them, where layers are among
            them, since a layer can be built only once.
        input_shape: Shape of the input with its batch axis, a list of shapes for several inputs.
        oracle: `oracle(inputs, weights, config)`, the expected output in NumPy. Inputs and weights
            are float64; `weights` is a dict from path below the layer to array, in creation order.
        make_inputs: `make_inputs(random, batch)` gives the input arrays where normal ones do not
            do: masks, ids, ages.
        tolerance: Allowed difference, relative to `1 + |expected|`.
        idle: Paths of trainable weights that need not move in training, such as an attention's
            key bias, on which the output does not depend.
        work: Whether the layer declares `work(input_shape)`. `False` skips that check.

    Raises: `AssertionError` whose message names the class, the check and what was seen.

    >>> kr.testing.check_layer(kr.layers.CrossNetwork, {"depth": 2}, (4, 6))
    """
    case = Case(cls, config, input_shape, make_inputs, tolerance, tuple(idle))
    check_build(case)
    check_starts(case)
    check_config(case)
    check_shapes(case)
    check_oracle(case, oracle)
    check_rows(case)
    check_dtype(case)
    check_file(case)
    check_training(case)
    if work:
        check_work(case)
