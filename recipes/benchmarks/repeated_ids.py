"""Cost of summing the gradient of a table per id before the optimizer: ways to do so, in turns.

Paper: none.
Command: KERAS_BACKEND=tensorflow python recipes/benchmarks/repeated_ids.py [--jit] [--ids 32768]
Cost: three minutes on a processor.
Expected: median milliseconds of `optimizer.apply` for one table of 16 columns. `as is` is Keras alone,
whose result is wrong when an id occurs twice, except with plain SGD.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.01),
    "SGD, clipnorm": lambda: keras.optimizers.SGD(0.01, clipnorm=1.0),
    "Adam": lambda: keras.optimizers.Adam(),
    "Adagrad": lambda: keras.optimizers.Adagrad(),
}
WIDTH = 16


def unique(slices: Any) -> Any:
    ids, places = tf.unique(slices.indices)
    values = tf.math.unsorted_segment_sum(slices.values, places, tf.shape(ids)[0])
    return tf.IndexedSlices(values, ids, slices.dense_shape)


def by_sorting(slices: Any) -> Any:
    """Static shapes, for XLA: unused slices are zero, with an index that XLA drops."""
    order = tf.argsort(slices.indices, stable=True)
    ids = tf.gather(slices.indices, order)
    places = tf.cumsum(tf.concat([[0], tf.cast(ids[1:] != ids[:-1], "int32")], 0))
    values = tf.gather(slices.values, order)
    summed = tf.math.unsorted_segment_sum(values, places, tf.shape(ids)[0])
    distinct = tf.fill(tf.shape(ids), slices.dense_shape[0])
    distinct = tf.tensor_scatter_nd_update(distinct, places[:, None], ids)
    return tf.IndexedSlices(summed, distinct, slices.dense_shape)


def steps_of(make: Callable, rows: int, count: int, jit: bool) -> dict[str, Callable]:
    """Returns a compiled step for each way, each with its own table and optimizer."""
    values = tf.random.normal((count, WIDTH))
    ways = {"as is": lambda s: s, "unique": unique, "dense": tf.convert_to_tensor}
    if jit:
        ways["sort"] = by_sorting

    def step_of(way: Callable) -> Callable:
        table, optimizer = keras.Variable(np.ones((rows, WIDTH), "float32")), make()
        optimizer.build([table])

        def step(ids):
            slices = tf.IndexedSlices(values, ids, tf.constant([rows, WIDTH]))
            optimizer.apply([way(slices)], [table])

        return tf.function(tf.autograph.experimental.do_not_convert(step), jit_compile=jit)

    return {name: step_of(way) for name, way in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jit", action="store_true", help="compile with XLA")
    parser.add_argument("--ids", type=int, default=8 * 4096, help="looked-up ids per batch")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--turns", type=int, default=10)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    for rows in arguments.rows:
        drawn = rng.zipf(1.2, (4, arguments.ids)) % rows
        batches = [tf.constant(ids.astype("int32")) for ids in drawn]
        for name, make in OPTIMIZERS.items():
            steps = steps_of(make, rows, arguments.ids, arguments.jit)
            times: dict[str, list[float]] = {way: [] for way in steps}
            for turn in range(arguments.turns + 1):
                for way, step in steps.items():
                    begin = time.perf_counter()
                    step(batches[turn % 4])
                    times[way].append(time.perf_counter() - begin)
            medians = {way: statistics.median(found[1:]) for way, found in times.items()}
            print(rows, name, {way: f"{1000 * found:.1f} ms" for way, found in medians.items()})


if __name__ == "__main__":
    main()
