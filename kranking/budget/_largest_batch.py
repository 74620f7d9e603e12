"""Pinterest's first question: how large a batch fits?"""

import warnings
from dataclasses import dataclass
from typing import Any

from kranking._core import check_number
from kranking.budget._analytic_cost import analytic_cost
from kranking.budget._cost import as_text
from kranking.budget._devices import device_memory
from kranking.models import RankingModel

SAFE = 0.75  # above it, Pinterest's runs died of what a step needs beside its tensors


@dataclass(frozen=True)
class LargestBatch:
    """What `largest_batch` found.

    Args:
        batch_size: The largest batch whose training step stays within the share, 0 if none does.
        share: Share of the device that it takes, by formula.
        memory: Bytes that it takes, by formula.
        device: The device.

    >>> print(LargestBatch(4096, 0.598, 0.598 * 40 * 2**30, "A100-40GB"))
    batch 4,096: 23.9 GiB, 59.8 % of A100-40GB (analytic)
    """

    batch_size: int
    share: float
    memory: float
    device: str

    def __str__(self) -> str:
        memory = as_text(self.memory, "bytes")
        share = f"{100 * self.share:.1f} % of {self.device} (analytic)"
        return f"batch {self.batch_size:,}: {memory}, {share}"


def largest_batch(
    model: RankingModel,
    share: float = 0.60,
    device: str | float = "A100-40GB",
    optimizer: Any = "adam",
) -> LargestBatch:
    """Gives the largest batch whose training step stays within a share of a device's memory.

    By the analytic estimate, which is linear in the batch: `B = (share · M - M(0)) / (M(1) - M(0))`.

    Args:
        model: The model; its weights need not exist.
        share: Share of the device's memory. Pinterest works at 0.60; above 0.75 there is a warning.
        device: Name of a device (`kranking.budget.DEVICES`), or bytes.
        optimizer: Keras optimizer or its name.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([64])], [kr.Task("save")])
    >>> largest_batch(model, 0.6, "A100-40GB").share <= 0.6
    True

    Reference: [Malreddy et al., 2024, section 4.1](https://arxiv.org/abs/2412.01985)
    """
    check_number("share", share, low=0.0, high=1.0)
    if not isinstance(device, str):
        check_number("device", device, low=1.0)
    total = device_memory(device) if isinstance(device, str) else float(device)
    if share > SAFE:
        warnings.warn(
            f"{share:.0%} of a device leaves little for what a step needs beside its tensors "
            f"(fragments, workspaces, collectives): stay below {SAFE:.0%}.",
            stacklevel=2,
        )
    costs = [analytic_cost(model, size, optimizer) for size in (1, 2)]
    if costs[0].unknown:
        raise ValueError(
            "The memory of all layers must be known. "
            f"Received: {list(costs[0].unknown)}, without a `work` method or with slots by shape"
        )
    one, two = (cost["memory"].value for cost in costs)
    per_row = two - one
    batch = max(0, int((share * total - (one - per_row)) // per_row))
    memory = one + (batch - 1) * per_row
    name = device if isinstance(device, str) else as_text(total, "bytes")
    return LargestBatch(batch, memory / total, memory, name)
