"""Memory needed to read a log: one epoch over a Parquet set of a given size, through `fit`.

Paper: none; the limit is kranking's own, under 1 GB above the model's memory for 2 GB of files.
Command: KERAS_BACKEND=jax python recipes/benchmarks/read_memory.py --gigabytes 2
Cost: 2 GB is about 15 million rows: 2 GB of disk, 2 minutes to write, some minutes to read.
Expected: `peak_above_model_mb` under 1,000 on every backend, whatever `--gigabytes` is.

The model's own memory is what the process holds after training on a few batches of the same log;
the peak is the largest resident set of the process, as the kernel counts it.
"""

import argparse
import resource
import shutil
import time
from pathlib import Path

import keras

import kranking as kr

BATCH_SIZE = 4096


def main() -> dict[str, float]:
    arguments = parsed()
    out = Path(arguments.out or f"runs/read_memory-{time.strftime('%Y%m%d-%H%M%S')}")
    out.mkdir(parents=True, exist_ok=True)
    log = Path(arguments.data) if arguments.data else out / "log"
    result: dict[str, float] = {}
    if not arguments.data:
        begin = time.perf_counter()
        rows = rows_for(0.01 if arguments.smoke else arguments.gigabytes, arguments.seed, out)
        kr.data.write_homefeed(log, num_rows=rows, seed=arguments.seed, valid=0.0, test=0.0)
        result["seconds_to_write"] = time.perf_counter() - begin
    try:
        result |= measured(log, arguments.seed, arguments.steps)
    finally:
        if not arguments.data and not arguments.keep:
            shutil.rmtree(log, ignore_errors=True)
    kr.comparison.write_files(out, {"result.json": result})
    for name, value in result.items():
        print(f"{name:24} {value:,.1f}")
    print(f"backend {keras.backend.backend()}, written to {out / 'result.json'}")
    return result


def rows_for(gigabytes: float, seed: int, out: Path) -> int:
    """Rows that take `gigabytes` (10^9 bytes), from the size of a small log."""
    trial = out / "trial"
    kr.data.write_homefeed(trial, num_rows=100_000, seed=seed, valid=0.0, test=0.0)
    size = sum(file.stat().st_size for file in trial.rglob("*.parquet"))
    shutil.rmtree(trial)
    return int(100_000 * gigabytes * 1e9 / size * 1.03)


def measured(log: Path, seed: int, steps: int | None) -> dict[str, float]:
    """Trains one epoch and gives the memory it took above the model's."""
    files = sorted((log / "train").glob("*.parquet"))
    features, tasks = kr.data.homefeed_declarations()
    features = kr.features.fit(features, files[:1])
    keras.utils.set_random_seed(seed)
    model = kr.RankingModel(features, [kr.layers.MLP([32])], tasks)
    model.compile(keras.optimizers.Adam(1e-3))
    few = []
    for batch in kr.data.read_parquet(files[:1], model, BATCH_SIZE):
        few.append(batch)
        if len(few) == 3:
            break
    for x, y, sample_weight in few:
        model.train_on_batch(x, y, sample_weight)
    model.fit(few[0][0], few[0][1], sample_weight=few[0][2], batch_size=BATCH_SIZE, verbose=0)
    del few, x, y, sample_weight
    before = resident_mb()
    reader = kr.data.read_parquet(log / "train", model, BATCH_SIZE, shuffle=True, seed=seed)
    begin = time.perf_counter()
    model.fit(reader, epochs=1, steps_per_epoch=steps, verbose=2)
    seconds = time.perf_counter() - begin
    rows = min(reader.num_rows, steps * BATCH_SIZE if steps else reader.num_rows)
    return {
        "gigabytes": sum(file.stat().st_size for file in files) / 1e9,
        "files": len(files),
        "rows": rows,
        "rows_per_second": rows / seconds,
        "model_mb": before,
        "peak_mb": peak_mb(),
        "peak_above_model_mb": peak_mb() - before,
    }


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak_mb() -> float:
    # Not getrusage: its peak counts the process that started this one, up to the exec.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the files to write")
    parser.add_argument("--data", help="a Homefeed log to read instead of writing one")
    parser.add_argument("--out", help="folder of the run; default runs/read_memory-TIME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="stop after so many batches")
    parser.add_argument("--keep", action="store_true", help="keep the log that was written")
    parser.add_argument("--smoke", action="store_true", help="10 MB, for a test of the recipe")
    return parser.parse_args()


if __name__ == "__main__":
    main()
