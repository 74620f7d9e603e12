"""Calls leave the settings of the process as they were: other threads and later code depend on them."""

import gc
import locale
import logging
import multiprocessing
import os
import random
import signal
import sys
import threading
import warnings

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr

pytestmark = pytest.mark.usefixtures("eager_training")
TABLE = pa.table(
    {
        "x": np.random.default_rng(0).normal(size=12),
        "c": ["a", "b", "c"] * 4,
        "save": [0, 1, 1, 0] * 3,
        "session": np.arange(12) // 4,
    }
)


def settings():
    """Returns what a call could change in the process, by name."""
    mask = os.umask(0o077)
    os.umask(mask)
    loggers = {None: logging.getLogger(), **logging.root.manager.loggerDict}
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": mask,
        "path": list(sys.path),
        "filters of warnings": list(warnings.filters),
        "logging": {
            name: (one.level, list(one.handlers), list(one.filters), one.disabled, one.propagate)
            for name, one in loggers.items()
            if isinstance(one, logging.Logger)
        },
        "locale": locale.setlocale(locale.LC_ALL),
        "signals": {
            s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
        },
        "streams": (sys.stdout, sys.stderr, sys.excepthook, threading.excepthook),
        "limits": (sys.getrecursionlimit(), gc.isenabled(), gc.get_threshold()),
        "start of processes": multiprocessing.get_start_method(allow_none=True),
        "NumPy": (np.geterr(), np.get_printoptions()),
        "Keras": (
            keras.config.floatx(),
            keras.config.epsilon(),
            keras.config.image_data_format(),
            keras.config.dtype_policy().name,
            keras.config.is_interactive_logging_enabled(),
            keras.config.is_traceback_filtering_enabled(),
            keras.distribution.distribution(),
        ),
        "backend": BACKENDS[keras.backend.backend()](),
    }


def random_states():
    states = {"Python": random.getstate(), "NumPy": str(np.random.get_state())}  # noqa: NPY002
    if keras.backend.backend() == "torch":
        import torch

        states["torch"] = torch.get_rng_state().tolist()
    return states


def of_tensorflow():
    import tensorflow as tf

    return (
        tf.config.experimental.tensor_float_32_execution_enabled(),
        tf.config.threading.get_inter_op_parallelism_threads(),
        tf.config.threading.get_intra_op_parallelism_threads(),
        tf.config.get_soft_device_placement(),
        tf.config.functions_run_eagerly(),
        tf.config.optimizer.get_jit(),
        tf.get_logger().level,
        [
            tf.config.experimental.get_memory_growth(d)
            for d in tf.config.list_physical_devices("GPU")
        ],
    )


def of_torch():
    import torch

    return (
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        torch.is_grad_enabled(),
        torch.backends.cudnn.benchmark,
    )


def of_jax():
    import jax

    return {name: str(value) for name, value in jax.config.values.items()}


BACKENDS = {"tensorflow": of_tensorflow, "torch": of_torch, "jax": of_jax}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model, its log, and a bundle; with what else the calls need, so that all is imported."""
    folder = tmp_path_factory.mktemp("state")
    pq.write_table(TABLE, folder / "log.parquet")
    features = kr.features.fit([kr.features.Numeric("x"), kr.features.Categorical("c")], TABLE)
    model = kr.RankingModel(features, [kr.layers.MLP([4])], [kr.Task("save")])
    model.compile("adam", weighted_metrics=None)
    model.fit(TABLE, verbose=0)
    kr.export.export_model(model, folder / "bundle", formats=["onnx"], num_check_rows=4)
    bundle = kr.export.load_bundle(folder / "bundle")
    kr.training.save_state(model, folder / "state.npz")
    log = kr.data.LogFiles(*[folder / "log.parquet"] * 3, features, [kr.Task("save")], "session")
    return folder, features, model, bundle, log


def search(folder, log):
    space = kr.search.SearchSpace(["mlp"], log.features, log.tasks, batch_size=12)
    training = kr.search.Training(verbose=0)
    kr.search.search(space, log, kr.budget.Budget(), trials=1, training=training, out=folder)


def compare(folder, log):
    variants = {"a": ("mlp", {"units": (4,)})}
    kr.comparison.compare(variants, log, "a", out=folder, seeds=1, latency_batch=None, verbose=0)


CALLS = {
    "infer": lambda out, made: kr.features.infer(made[0] / "log.parquet"),
    "fit": lambda out, made: kr.features.fit(made[1], made[0] / "log.parquet"),
    "read": lambda out, made: list(kr.data.read(TABLE, made[2], 5, shuffle=True)),
    "split": lambda out, made: kr.data.split_by_time(TABLE, "x", out),
    "predict": lambda out, made: made[2].predict(TABLE, verbose=0),
    "save": lambda out, made: (
        made[2].save(out / "m.keras"),
        keras.saving.load_model(out / "m.keras"),
    ),
    "state": lambda out, made: kr.training.load_state(made[2], made[0] / "state.npz"),
    "export": lambda out, made: kr.export.export_model(made[2], out / "b", num_check_rows=4),
    "load": lambda out, made: kr.export.load_bundle(made[0] / "bundle").score(TABLE),
    "verify": lambda out, made: kr.export.verify_bundle(made[0] / "bundle"),
    "compress": lambda out, made: kr.export.compress_bundle(
        made[0] / "bundle", out / "s", TABLE, max_auc_loss=1.0, max_ne_rise=9.0
    ),
    "tables": lambda out, made: kr.export.split_tables(made[0] / "bundle", out / "t", min_bytes=1),
    "score": lambda out, made: kr.serving.score_parquet(
        made[0] / "bundle", made[0] / "log.parquet", out / "p"
    ),
    "triton": lambda out, made: kr.serving.write_triton(made[0] / "bundle", out / "r", name="m"),
    "cost": lambda out, made: kr.budget.analytic_cost(made[2], 8),
    "compare": lambda out, made: compare(out, made[4]),
    "search": lambda out, made: search(out, made[4]),
}


# Keras draws a seed from Python's generator for each initializer that it creates, as those of declarations.
# PyTorch's loader draws one for each pass.
DRAWN = {
    "predict": {"torch"},
    "state": {"Python", "NumPy", "torch"},
    "compare": set(),
    "search": set(),
    "read": set(),
}


@pytest.mark.parametrize("call", CALLS)
def test_calls_leave_the_process_as_it_was(call, made, tmp_path):
    before, drawn = settings(), random_states()
    CALLS[call](tmp_path, made)
    after = settings()
    loggers = before["logging"]
    after["logging"] = {n: v for n, v in after["logging"].items() if n in loggers}
    assert {n: (loggers[n], v) for n, v in after["logging"].items() if v != loggers[n]} == {}
    assert {name for name in before if before[name] != after[name]} == set()
    now = random_states()
    assert {name for name in drawn if drawn[name] != now[name]} <= DRAWN.get(call, {"Python"})
