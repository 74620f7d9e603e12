"""The clients of `triton_load.py`: runs in Triton's own Python, with NumPy and tritonclient.

Many clients ask at once and compare every answer; one more sends what should be refused.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

TOLERANCE = 1e-5
MOST_ROWS = 50


def tensors(columns: dict[str, np.ndarray]) -> list:
    made = []
    for name, column in columns.items():
        column = column[:, None] if column.ndim == 1 else column
        made.append(triton.InferInput(name, column.shape, np_to_triton_dtype(column.dtype)))
        made[-1].set_data_from_numpy(np.ascontiguousarray(column))
    return made


async def ask(url, model, rows, wanted, until, seed, seen) -> None:
    """Asks until the time is over; each answer is compared with that of the version that gave it."""
    random = np.random.default_rng(seed)
    async with triton.InferenceServerClient(url) as client:
        while time.monotonic() < until:
            size = int(random.integers(1, MOST_ROWS + 1))
            first = int(random.integers(0, len(next(iter(rows.values()))) - size))
            part = slice(first, first + size)
            request = tensors({name: column[part] for name, column in rows.items()})
            begin = time.perf_counter()
            try:
                reply = await client.infer(model, request, client_timeout=60)
            except InferenceServerException as error:
                seen["errors"].append(str(error))
                continue
            seen["ms"].append(1000 * (time.perf_counter() - begin))
            version = reply.get_response().model_version
            seen["versions"].append(int(version))
            for task, p in wanted[version].items():
                received = reply.as_numpy(task)
                if received.shape != (size, 1) or np.abs(received - p[part]).max() > TOLERANCE:
                    seen["wrong"].append(f"{task} of version {version}, rows {first}+{size}")


def malformed(rows: dict[str, np.ndarray]) -> dict[str, tuple[dict, dict, str]]:
    """Returns columns, arguments, and what the error has to name, by kind of mistake."""
    few = {name: column[:3] for name, column in rows.items()}
    wide = next(n for n, c in few.items() if c.ndim > 1 and c.dtype == np.float32)
    ids = next(n for n, c in few.items() if c.ndim == 1 and c.dtype == np.int32)
    rest = {name: column for name, column in few.items() if name != ids}
    nan = few[wide].copy()
    nan[1, 0] = np.nan
    return {
        "missing": (rest, {}, f"expected {len(rows)} inputs but got {len(rest)}"),
        "unknown": ({**few, "no such": few[ids]}, {}, "no such"),
        "dtype": ({**few, ids: few[ids].astype("int64")}, {}, ids),
        "width": ({**few, wide: few[wide][:, :-1]}, {}, wide),
        "rows": ({**few, ids: few[ids][:2]}, {}, "batch size"),
        "not finite": ({**few, wide: nan}, {}, f"`{wide}` must be finite"),
        "too many": (
            {n: np.resize(c, (1025, *c.shape[1:])) for n, c in few.items()},
            {},
            "<= 1024",
        ),
        "no rows": ({name: column[:0] for name, column in few.items()}, {}, "got 0"),
        "version": (few, {"model_version": "99"}, "99"),
        "model": (few, {"model_name": "no_such_model"}, "no_such_model"),
    }


async def disturb(url, model, rows, until, seen) -> None:
    """Sends one malformed request a second; whatever is not a clear error is an error of ours."""
    kinds = list(malformed(rows).items())
    async with triton.InferenceServerClient(url) as client:
        while time.monotonic() < until:
            kind, (columns, arguments, wanted) = kinds[seen["malformed"] % len(kinds)]
            seen["malformed"] += 1
            try:
                await client.infer(**{"model_name": model, "inputs": tensors(columns)} | arguments)
                seen["unclear"].append(f"{kind}: answered")
            except InferenceServerException as error:
                if wanted not in str(error):
                    seen["unclear"].append(f"{kind}: {error}")
            await asyncio.sleep(1)


async def main(url: str, model: str, rows: str, found: str, seconds: str, clients: str) -> None:
    stored = dict(np.load(rows))
    columns = {name[3:]: column for name, column in stored.items() if name.startswith("in/")}
    wanted = {
        version: {n[2:]: p for n, p in stored.items() if n.startswith(f"{version}/")}
        for version in "12"
    }
    lists = {name: [] for name in ("ms", "versions", "errors", "wrong", "unclear")}
    seen = {**lists, "malformed": 0}
    begin = time.monotonic()
    until = begin + float(seconds)
    await asyncio.gather(
        *(ask(url, model, columns, wanted, until, i, seen) for i in range(int(clients))),
        disturb(url, model, columns, until, seen),
    )
    for kind in ("errors", "wrong", "unclear"):
        for text in sorted(set(seen[kind]))[:10]:
            print(f"{kind}: {text}", file=sys.stderr)
    times = np.percentile(seen["ms"], (50, 90, 99))
    figures = {
        "requests": len(seen["ms"]) + len(seen["errors"]),
        "errors": len(seen["errors"]),
        "wrong_answers": len(seen["wrong"]),
        "answers_1": seen["versions"].count(1),
        "answers_2": seen["versions"].count(2),
        "malformed": seen["malformed"],
        "clear_refusals": seen["malformed"] - len(seen["unclear"]),
        "requests_per_second": len(seen["ms"]) / (time.monotonic() - begin),
        **{f"p{q}_ms": ms for q, ms in zip((50, 90, 99), times)},
    }
    Path(found).write_text(json.dumps({name: float(value) for name, value in figures.items()}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
