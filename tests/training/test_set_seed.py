import subprocess
import sys
from pathlib import Path

import pytest

from kranking.training import set_seed

CHILD = Path(__file__).with_name("seed_child.py")


def weights(*seeds):
    """A process of its own: what makes operations deterministic cannot be taken back in this one."""
    command = [sys.executable, str(CHILD), *map(str, seeds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()[-len(seeds) :]


@pytest.mark.slow
@pytest.mark.each_backend
def test_two_runs_give_the_same_bits():
    first, (second, other) = weights(7), weights(7, 8)
    assert first == [second]
    assert first != [other]


@pytest.mark.parametrize("seed", [-1, 1.0, "7", True, None])
def test_rejects(seed):
    with pytest.raises(
        ValueError, match=r"`seed` must be an integer of at least 0. Received: seed"
    ):
        set_seed(seed)


def test_rejects_what_numpy_cannot_take():
    with pytest.raises(ValueError, match=r"`seed` must be less than 2\*\*32"):
        set_seed(2**32)
