"""The contract of a layer, checked by one function."""

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
    """Checks that a layer fulfills the contract of all layers in this package.

    The layer must create all its weights from an input shape, initialize its kernels independently,
    round-trip its configuration through JSON, declare its output shapes, match its oracle, process
    rows independently, follow a dtype policy, keep its output through a `.keras` file, train all its
    weights, and declare its exact cost. Values are compared by `|Δ| <= tolerance · (1 + |expected|)`.

    Args:
        cls: Class of the layer.
        config: Constructor arguments; or a callable that returns them, for arguments that contain
            layers, since a layer can be built only once.
        input_shape: Shape of the input with its batch axis; a list of shapes for several inputs.
        oracle: `oracle(inputs, weights, config)`, the expected output in NumPy. Inputs and weights
            are float64; `weights` maps the path below the layer to an array, in creation order.
        make_inputs: `make_inputs(random, batch)` returns the input arrays. Needed where normal inputs
            are not suitable, as for masks, ids or ages.
        tolerance: Allowed difference, relative to `1 + |expected|`.
        idle: Paths of trainable weights that need not change in training because the output does not
            depend on them, such as the key bias of an attention layer.
        work: Whether the layer declares `work(input_shape)`. `False` skips that check.

    Raises:
        AssertionError: If a check fails. The message names the class, the check and the finding.

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
