"""Work that a `StabilityGuard` adds to `fit`: the same training with and without it, in turns.

Paper: none.
Command: KERAS_BACKEND=torch python recipes/benchmarks/guard_overhead.py
Cost: about a minute on a processor.
Expected: `overhead_share`, the median over pairs of (with − without) / without in seconds of processor
time: all threads of this process, without what other processes took. The pairs are in `pairs.json`, with
seconds by the clock: look at their spread first.
"""

import argparse
import statistics
import time
from pathlib import Path

import keras
import numpy as np

import kranking as kr


def main() -> dict[str, float]:
    arguments = parsed()
    out = Path(arguments.out or f"runs/guard_overhead-{time.strftime('%Y%m%d-%H%M%S')}")
    out.mkdir(parents=True, exist_ok=True)
    steps, batch, pairs = (6, 64, 2) if arguments.smoke else (100, 512, arguments.pairs)
    model, x, y = trained(steps * batch, batch, arguments.seed)

    start = model.get_weights()

    def seconds(callbacks) -> tuple[float, float]:
        model.set_weights(start)  # else it learns the rows by heart, and a loss near 0 has spikes
        begin = time.process_time(), time.perf_counter()
        model.fit(x, y, batch_size=batch, verbose=0, shuffle=False, callbacks=callbacks)
        return time.process_time() - begin[0], time.perf_counter() - begin[1]

    times = []
    for i in range(pairs):
        # The order changes, so that a machine that slows down does not count for one side.
        order = (False, True) if i % 2 else (True, False)
        pair = {on: seconds([guard(arguments)] if on else []) for on in order}
        names = {"without": pair[False], "with": pair[True]}
        clocks = {f"{name}_by_the_clock": found[1] for name, found in names.items()}
        times.append({name: found[0] for name, found in names.items()} | clocks)
    shares = [pair["with"] / pair["without"] - 1 for pair in times]
    result = {
        "overhead_share": statistics.median(shares),
        "overhead_share_least": min(shares),
        "overhead_share_most": max(shares),
        "step_ms": 1000 * statistics.median(pair["without"] for pair in times) / steps,
        "steps": float(steps),
        "pairs": float(pairs),
    }
    kr.comparison.write_files(out, {"pairs.json": times, "result.json": result})
    for name, value in result.items():
        print(f"{name:24} {value:,.4f}")
    print(f"backend {keras.backend.backend()}, written to {out / 'result.json'}")
    return result


def guard(arguments) -> kr.training.StabilityGuard:
    return kr.training.StabilityGuard("rollback", check_every=arguments.check_every)


def trained(rows: int, batch: int, seed: int):
    """A model of 20 fields that has been compiled and has taken its first steps."""
    random = np.random.default_rng(seed)
    ids = tuple(range(1000))
    features = [
        kr.features.Categorical(f"c{i}", vocabulary=ids, embedding_dim=16) for i in range(20)
    ]
    keras.utils.set_random_seed(seed)
    blocks = [kr.layers.CrossNetwork(2), kr.layers.MLP([256, 128])]
    model = kr.RankingModel(features, blocks, [kr.Task("save")])
    model.compile(keras.optimizers.Adam(1e-3))
    rows_of = {f"c{i}": random.integers(0, 1001, rows).astype("int32") for i in range(20)}
    x = kr.features.as_model_inputs(rows_of)
    y = {"save": (random.random(rows) < 0.1).astype("float32")}
    few = {name: values[: 3 * batch] for name, values in x.items()}
    for callbacks in ([], [kr.training.StabilityGuard("rollback", check_every=1)]):
        model.fit(
            few, {"save": y["save"][: 3 * batch]}, batch_size=batch, verbose=0, callbacks=callbacks
        )
    return model, x, y


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--check-every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="folder of the run; default runs/guard_overhead-TIME")
    parser.add_argument("--smoke", action="store_true", help="6 steps, for a test of the recipe")
    return parser.parse_args()


if __name__ == "__main__":
    main()
