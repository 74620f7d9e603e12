"""The largest batch that fits into the memory of a device."""

import warnings
from dataclasses import dataclass
from typing import Any

from kranking._core import check_number
from kranking.budget._analytic_cost import analytic_cost
from kranking.budget._cost import as_text
from kranking.budget._devices import device_memory
from kranking.models import RankingModel

SAFE = 0.75  # above it, runs at Pinterest failed because a step needs more memory than its tensors


@dataclass(frozen=True)
class LargestBatch:
    """Result of `largest_batch`.

    Args:
        batch_size: The largest batch size whose training step fits into the share; 0 if none fits.
        share: Share of the device memory that it uses (analytic).
        memory: Number of bytes that it uses (analytic).
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
    """Computes the largest batch whose training step fits into a share of the memory of a device.

    Uses the analytic estimate `M(B)`, which is linear in the batch size:
    `B = (share · M - M(0)) / (M(1) - M(0))`, where `M` is the memory of the device.

    Args:
        model: The model; its weights need not exist.
        share: Share of the device memory. Pinterest uses 0.60; values above 0.75 cause a warning.
        device: Name of a device (see `kranking.budget.DEVICES`), or bytes.
        optimizer: Keras optimizer or its name.

    Raises:
        ValueError: If the device is unknown, or if the memory of a layer or of the optimizer is unknown.

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
            f"{share:.0%} of the device memory leaves little for fragmentation, workspaces and "
            f"collectives, which the estimate does not include. Use a share of at most {SAFE:.0%}.",
            stacklevel=2,
        )
    costs = [analytic_cost(model, size, optimizer) for size in (1, 2)]
    if costs[0].unknown:
        raise ValueError(
            "The memory of all layers and of the optimizer must be known. Received: "
            f"{list(costs[0].unknown)}, without a `work` method or with slots that depend on shapes"
        )
    one, two = (cost["memory"].value for cost in costs)
    per_row = two - one
    batch = max(0, int((share * total - (one - per_row)) // per_row))
    memory = one + (batch - 1) * per_row
    name = device if isinstance(device, str) else as_text(total, "bytes")
    return LargestBatch(batch, memory / total, memory, name)
