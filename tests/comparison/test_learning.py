"""Learning experiments: what is asked, what rules read out of gains, the whole way on a small log."""

import json
import math
from types import SimpleNamespace

import keras
import pytest

import kranking as kr
from kranking.budget import Cost, Figure
from kranking.comparison import learning_experiments
from kranking.comparison._experiments import EXPERIMENTS, experiments
from kranking.comparison._findings import finding
from kranking.comparison._gains import Gains
from kranking.comparison._intervals import Interval
from kranking.data import LogFiles
from kranking.training import Protocol

pytestmark = pytest.mark.usefixtures("eager_training")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    kr.data.write_homefeed(folder, num_rows=1500, seed=0)
    features = [kr.features.Numeric("pin_saves", side="item", transform="log")]
    features += [kr.features.Categorical("topic", side="item", embedding_dim=3)]
    features = kr.features.fit(features, folder / "train")
    parts = (folder / part for part in ("train", "valid", "test"))
    return LogFiles(*parts, features, [kr.Task("save")], "session_id")


@pytest.fixture(scope="module")
def report(log, tmp_path_factory):
    out = tmp_path_factory.mktemp("learning")
    protocol = Protocol(lambda: keras.optimizers.Adam(1e-2), 512)
    options = {"units": (4,), "seeds": 1, "latency_batch": None, "verbose": 0}
    return learning_experiments(log, ["parallel"], protocol=protocol, out=out, **options), out


def test_the_whole_way(report):
    found, out = report
    names = [row.name for row in found.comparison.rows]
    assert names == ["stack_4", "stack_2", "parallel_2x2", "parallel_3x2", "parallel_4x2"]
    written = json.loads((out / "learning.json").read_text())
    points = written["experiments"][0]["points"]
    assert points[0]["gain"] is None
    assert points[1]["gain"]["low"] <= points[1]["gain"]["estimate"] <= points[1]["gain"]["high"]
    assert "parallel: " in (out / "learning.md").read_text()
    assert (out / "learning.html").read_text().count("data:image/png;base64,") == 1
    assert "parallel_2x2" in str(found)


def test_gains_are_those_of_the_figures(report):
    """The relative fall of the test rows' NE, sign and all, and the other way round."""
    found, out = report
    entropy = {row.name: row.means["save_ne"] for row in found.comparison.rows}
    expected = 100 * (entropy["stack_2"] - entropy["parallel_3x2"]) / entropy["stack_2"]
    assert found.gains("parallel_3x2", "stack_2").estimate == pytest.approx(expected, abs=1e-4)
    back = 100 * (entropy["parallel_3x2"] - entropy["stack_2"]) / entropy["parallel_3x2"]
    assert found.gains("stack_2", "parallel_3x2").estimate == pytest.approx(back, abs=1e-4)
    hits = {row.name: row.metric for row in found.comparison.rows}
    gain = Gains(found.comparison, out, "hit")("parallel_3x2", "stack_2").estimate
    if hits["stack_2"]:
        relative = 100 * (hits["parallel_3x2"] / hits["stack_2"] - 1)
        assert gain == pytest.approx(relative, abs=1e-4)
    else:
        assert math.isnan(gain)


def gains(quality, flops=None, untrained=(), width=0.5):
    """A comparison in which each model has a known quality, and a difference of 1 is clear."""

    class Known(Gains):
        def __init__(self):
            pass

        def __call__(self, name, reference, by=None):
            gain = quality[name] - quality[reference]
            return Interval(gain, gain - width, gain + width)

        @property
        def comparison(self):
            return {name: self.row(name) for name in quality}

        def row(self, name):
            figures = {"flops": Figure((flops or {}).get(name, 0), "flops", "analytic")}
            cost = Cost(1, "adam", "float32", figures)
            return SimpleNamespace(trained=int(name not in untrained), cost=cost)

    return Known()


def stacks(*values):
    return {"mlp": 0, **{f"stack_{i}": value for i, value in enumerate(values, 1)}}


@pytest.mark.parametrize(
    ("quality", "words", "families"),
    [
        (stacks(1, 2, 3, 3, 3, 3, 3, 3), "3 cross steps gain +2", ("dcn_v2", "gdcn")),
        (stacks(1, 2, 3, 4, 5, 6, 6, 6), "6 cross steps", ("dcn_v2", "gdcn", "sdcn_v3")),
        # Three steps are not clearly beaten, but not clearly better than one either.
        (stacks(1, 1.2, 1.4, 1.5, 1.8, 1.8, 1.8, 1.8), "5 cross", ("dcn_v2", "gdcn", "sdcn_v3")),
        (stacks(1, 1, 1, 1, 1, 1, 1, 0), "No deeper stack is clearly better", ("deepfm", "dlrm")),
        (stacks(0, 0, 0, 0, 0, 0, 0, 0), "no clear gain", ("mlp", "final_mlp")),
    ],
)
def test_order(quality, words, families):
    (order,) = experiments(["order"], [4], [2])
    found = finding(order, gains(quality))
    assert words in found.text
    assert found.families == families


def test_few_seeds_leave_it_undecided():
    order, parallel = experiments(["order", "parallel"], [4], [2])
    found = finding(order, gains(stacks(*[0] * 8), width=2.0))
    assert "undecided: +2 % is not excluded" in found.text
    assert found.families == ()
    names = ("stack_2", "parallel_2x2", "parallel_3x2", "parallel_4x2")
    assert "undecided" in finding(parallel, gains(dict.fromkeys(names, 0), width=2.0)).text


def test_what_was_not_trained_is_named_and_left_out():
    (order,) = experiments(["order"], [4], [2])
    found = finding(order, gains(stacks(1, 2, 9, 2, 2, 2, 2, 2), untrained=("stack_3",)))
    assert "2 cross steps" in found.text
    assert found.text.endswith("Not trained: stack_3.")


def test_parallel():
    (parallel,) = experiments(["parallel"], [4], [2])
    quality = {"stack_2": 0, "parallel_2x2": 1, "parallel_3x2": 2, "parallel_4x2": 2}
    found = finding(parallel, gains(quality))
    assert found.text.startswith("3 parallel stacks of two gain +2")
    assert "masknet" in found.families
    assert finding(parallel, gains(dict.fromkeys(quality, 0))).families == ()


def test_nonlinearity():
    (relu,) = experiments(["nonlinearity"], [4], [8, 16, 32])
    quality = {"rank_8": 0, "rank_8_relu": -1, "rank_16": 0, "rank_16_relu": 1}
    quality |= {"rank_32": 0, "rank_32_relu": 1}
    found = finding(relu, gains(quality))
    assert found.text.startswith("A ReLU clearly helps at ranks [16, 32], clearly hurts at [8]")
    assert found.families == ("masknet", "pinterest_launch")
    worse = finding(relu, gains({n: -v for n, v in quality.items()}))
    assert worse.families == ("dcn_v2",)


def test_dhen_is_measured_against_the_mixture_of_as_many_flops():
    (dhen,) = experiments(["dhen"], [4], [2])
    flops = {"moe_4": 4, "moe_8": 8, "moe_16": 16, "dhen_2": 3, "dhen_4": 7, "dhen_6": 20}
    quality = {"moe_4": 0, "moe_8": 1, "moe_16": 2, "dhen_2": 1, "dhen_4": 1, "dhen_6": 3}
    found = finding(dhen, gains(quality, flops))
    assert "clearly better at 2 of 3 sizes" in found.text
    assert found.families == ("dhen",)


def test_models_that_two_experiments_share_are_one_variant():
    points = [p for one in experiments(EXPERIMENTS, [4], [2]) for p in one.points]
    given = {}
    for point in points:
        assert given.setdefault(point.name, point.given) == point.given
    assert len(given) < len(points)


def test_rejects(log, tmp_path):
    with pytest.raises(ValueError, match="`by` must be one of"):
        learning_experiments(log, by="auc", out=tmp_path)
    with pytest.raises(ValueError, match="`experiments` must be one of"):
        learning_experiments(log, ["orders"], out=tmp_path)
