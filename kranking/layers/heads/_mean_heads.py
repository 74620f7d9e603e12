"""Heads of parallel networks, whose logits are averaged."""

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import (
    check_choice,
    check_known_width,
    check_positive_int,
    check_positive_ints,
    fresh,
    serializable,
)
from kranking.layers._contract._open_arguments import required_argument
from kranking.layers._contract._work import Work, dense_work

# By registered name, since layers must not import losses.
_AUXILIARY_LOSSES = {
    "tri_bce": "kranking>TriBCE",
    "distillation": "kranking>SelfDistillation",
}


@serializable
class MeanHeads(keras.layers.Layer):
    """Computes logits for each part of the input and returns their mean.

    `z_p = x_p A_p + b_p` for the parts of `x = x_1 ‖ … ‖ x_P`. With `fusion="logit"`,
    `z = (1/P) Σ_p z_p`; with `"prob"`, `σ(z) = (1/P) Σ_p σ(z_p)`. The parts are the outputs of
    parallel networks, such as the branches of `Parallel`.

    An auxiliary loss supervises the parts. `RankingModel` adds it to the training loss, but not in
    `evaluate`, `predict` and exports; without a `RankingModel` it has no effect.

    Args:
        num_tasks: Number of tasks, T. `None` lets `RankingModel` fill it in; required if the layer
            is used on its own.
        widths: Width of each part, in order. `None` splits the input into equal parts.
        num_parts: Number of equal parts, P. `None` uses the number of `widths`, or 2 without
            `widths`.
        fusion: Whether to average logits, `"logit"`, or probabilities, `"prob"`.
        auxiliary_loss: `None`, `"tri_bce"` for `kranking.losses.TriBCE()`, `"distillation"` for
            `kranking.losses.SelfDistillation()`, or a callable that takes labels, final logits, the
            logits of the parts by name and sample weights, and returns one value per task.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Attributes:
        auxiliary: After a call in training, a dict of logits `(batch, num_tasks)` with the keys
            `"part_0"`, `"part_1"`, …; otherwise, or without an auxiliary loss, empty. Thread-local.

    Input shape: `(batch, width)`.
    Output shape: `(batch, num_tasks)`, logits.
    Raises: `ValueError` at build time if the widths of the parts do not sum to the width of the
        input.

    >>> heads = kr.layers.MeanHeads(num_tasks=3, widths=(4, 2), auxiliary_loss="distillation")
    >>> tuple(heads(np.ones((2, 6), "float32"), training=True).shape), list(heads.auxiliary)
    ((2, 3), ['part_0', 'part_1'])

    Reference: [Zhu et al., 2023](https://doi.org/10.1145/3539618.3591988) and
    [Li et al., 2024](https://arxiv.org/abs/2407.13349), which has `"prob"` in the paper and
    `"logit"` in the code
    """

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        num_tasks: int | None = None,
        widths: Sequence[int] | None = None,
        num_parts: int | None = None,
        fusion: str = "logit",
        auxiliary_loss: Any = None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("num_tasks", num_tasks, optional=True)
        check_positive_int("num_parts", num_parts, optional=True)
        check_choice("fusion", fusion, ("logit", "prob"))
        if widths is not None:
            widths = check_positive_ints("widths", widths)
        if widths is not None and num_parts not in (None, len(widths)):
            raise ValueError(
                f"`num_parts` must be None or the number of `widths`. Received: num_parts={num_parts}, "
                f"widths={widths}"
            )
        super().__init__(**kwargs)
        self.num_tasks = num_tasks
        self.widths = widths
        self.num_parts = num_parts or (2 if widths is None else len(widths))
        self.fusion = fusion
        self.auxiliary_loss = _loss_of(auxiliary_loss)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self._kept = Kept()

    def build(self, input_shape):
        """Builds one projection per part."""
        widths, tasks = self._check(input_shape)
        self.projections = []
        for index, width in enumerate(widths):
            dense = keras.layers.Dense(
                tasks,
                kernel_initializer=fresh(self.kernel_initializer, index),
                name=f"part_{index}",
                dtype=self.dtype_policy,
            )
            dense.build((None, width))
            self.projections.append(dense)

    @property
    def auxiliary(self) -> dict[str, Any]:
        """The logits of the parts by name, from the last call in training."""
        return self._kept.logits

    @auxiliary.setter
    def auxiliary(self, logits: dict[str, Any]) -> None:
        self._kept.logits = dict(logits)

    def part_logits(self, inputs) -> dict[str, Any]:
        """Returns the logits `(batch, num_tasks)` of each part, by name."""
        widths, _ = self._check(inputs.shape)
        places = pairwise([0, *(sum(widths[: i + 1]) for i in range(len(widths)))])
        return {
            dense.name: dense(inputs[:, start:stop])
            for dense, (start, stop) in zip(self.projections, places, strict=True)
        }

    def call(self, inputs, training=None):
        """Returns the final logits."""
        parts = self.part_logits(inputs)
        # Stored only for the auxiliary loss to read; otherwise the tensors would leak.
        self._kept.logits = parts if training and self.auxiliary_loss is not None else {}
        wide = kops.wide(self.compute_dtype)
        stacked = ops.stack([ops.cast(part, wide) for part in parts.values()])  # (parts, B, T)
        if self.fusion == "logit":
            final = ops.mean(stacked, axis=0)
        else:
            final = _log_sum_sigmoid(stacked) - _log_sum_sigmoid(-stacked)
        return ops.cast(final, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, num_tasks)`."""
        return (input_shape[0], self._check(input_shape)[1])

    def work(self, input_shape) -> Work:
        """Counts `T(W + P)` parameters and `2WT` FLOPs."""
        widths, tasks = self._check(input_shape)
        return sum((dense_work(width, tasks) for width in widths), Work(saved_elements=tasks))

    def get_config(self):
        """Returns the constructor arguments."""
        loss = self.auxiliary_loss
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "widths": self.widths,
            "num_parts": self.num_parts,
            "fusion": self.fusion,
            "auxiliary_loss": None if loss is None else keras.saving.serialize_keras_object(loss),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _check(self, input_shape) -> tuple[tuple[int, ...], int]:
        """Returns the widths of the parts and the number of tasks."""
        width = check_known_width(self, input_shape)
        widths = self.widths
        if widths is None and width % self.num_parts == 0:
            widths = (width // self.num_parts,) * self.num_parts
        if widths is None or sum(widths) != width:
            parts = f"num_parts={self.num_parts}" if widths is None else f"widths={widths}"
            raise ValueError(
                f"`{self.name}` needs parts that sum to the width of the input; pass `widths`. "
                f"Received: {parts} for an input of width {width}"
            )
        return widths, required_argument(self, "num_tasks", "tasks")


class Kept(threading.local):
    """Thread-local logits passed from a call to the loss, since replicas of a model run in threads."""

    def __init__(self):
        self.logits: dict[str, Any] = {}

    def __reduce__(self):
        return (Kept, ())


def _loss_of(given: Any) -> Callable | None:
    """Returns the auxiliary loss for a name, a configuration or a callable."""
    if isinstance(given, str):
        check_choice("auxiliary_loss", given, list(_AUXILIARY_LOSSES))
        return keras.saving.get_registered_object(_AUXILIARY_LOSSES[given])()  # pyright: ignore
    if isinstance(given, dict):
        given = keras.saving.deserialize_keras_object(given)
    if given is not None and not callable(given):
        raise ValueError(
            f"`auxiliary_loss` must be None, one of {list(_AUXILIARY_LOSSES)}, or a callable. "
            f"Received: auxiliary_loss={given!r}"
        )
    return given


def _log_sum_sigmoid(logits):
    """Returns `log Σ_p σ(z_p)`, which stays finite if all probabilities are close to 0."""
    return ops.logsumexp(-ops.softplus(-logits), axis=0)
