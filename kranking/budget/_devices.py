"""Memory sizes of devices."""

from difflib import get_close_matches

_GIB = 2**30
# Nominal sizes of the vendors; a process can use a little less.
DEVICES = {
    "T4-16GB": 16 * _GIB,
    "V100-16GB": 16 * _GIB,
    "V100-32GB": 32 * _GIB,
    "L4-24GB": 24 * _GIB,
    "A10-24GB": 24 * _GIB,
    "L40S-48GB": 48 * _GIB,
    "A100-40GB": 40 * _GIB,
    "A100-80GB": 80 * _GIB,
    "H100-80GB": 80 * _GIB,
    "H200-141GB": 141 * _GIB,
    "TPU-v5e-16GB": 16 * _GIB,
    "TPU-v5p-95GB": 95 * _GIB,
}


def device_memory(name: str) -> int:
    """Returns the memory of a device in bytes.

    >>> device_memory("A100-40GB") == 40 * 2**30
    True
    """
    if not isinstance(name, str) or name not in DEVICES:
        near = get_close_matches(str(name), DEVICES, n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"The device must be one of {list(DEVICES)}; specify bytes for other devices. "
            f"Received: {name!r}.{hint}"
        )
    return DEVICES[name]
