"""tensorflow-recommenders' interaction layers and ours, with equal weights; README.md says how to run this.

They are compared in a process of its own, with Keras 2 and 3 side by side. What ours cannot express
(`preactivation`, `diag_scale` beside `projection_dim`) is refused: tests/interop.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow_recommenders") is None
        or importlib.util.find_spec("tf_keras") is None,
        reason="needs kranking[tfrs]",
    ),
]


def test_layers(compare):
    """A missing bias is zeros, `diag_scale` a part of a full kernel; nothing else differs."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("tfrs_layers_child.py"))],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert len(report) == 17
    for name, found in report.items():
        compare(name, found["ours"], found["theirs"])
