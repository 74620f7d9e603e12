import keras
import pytest

import kranking as kr
from kranking.budget import Budget, Cost, Figure, Limit, largest_batch

GIB = 2**30


def cost(memory=GIB, latency=2.0, parameters=100, **more):
    figures = {
        "memory": Figure(memory, "bytes", "compiled"),
        "latency_p50": Figure(latency, "ms", "measured"),
        "table_parameters": Figure(parameters - 10, "parameters", "analytic"),
        "dense_parameters": Figure(10, "parameters", "analytic"),
        "flops": Figure(1000, "flops", "analytic"),
    }
    return Cost(1024, "Adam", "float32", figures | more)


@pytest.mark.parametrize(
    ("name", "text", "most"),
    [
        ("memory", "2 GiB", 2 * GIB),
        ("memory", "1,500 MB", 1.5e9),
        ("memory", "60 % of A100-40GB", 24 * GIB),
        ("memory", "+5 points of A100-40GB", GIB + 2 * GIB),
        ("memory", "+5 %", 1.05 * GIB),
        ("latency", "8 ms", 8.0),
        ("latency", "500 us", 0.5),
        ("latency", "+0 %", 2.0),
        ("latency", "-10%", 1.8),
        ("parameters", 2_000_000, 2e6),
        ("parameters", "+20 %", 120.0),
        ("flops", 10, 10.0),
        ("spread", 0.002, 0.002),
    ],
)
def test_limits_are_read_as_written(name, text, most):
    assert Limit.parse(name, text).most(cost()) == pytest.approx(most)


def test_percentile_of_a_latency():
    assert Limit.parse("latency", "8 ms p99").figure == "latency_p99"
    assert Limit.parse("latency", "8 ms").figure == "latency_p50"


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("memory", 12, r"`memory` must have a unit: '12 GiB', .* Received: memory=12"),
        ("memory", "12", r"`memory` must have a unit"),
        ("latency", 3.0, r"`latency` must have a unit: '8 ms p99', .* Received: latency=3.0"),
        ("latency", "3 GiB", r"`latency` must have one of these forms"),
        ("latency", "60 % of A100-40GB", r"`latency` must have no device"),
        ("memory", "60 %", r"`memory` must have one of these forms"),
        ("memory", "a lot", r"`memory` must have one of these forms"),
        ("memory", "1 GiB p99", r"`memory` must have no percentile"),
        ("memory", "60 % of A100-4GB", r"The device must be .* Did you mean 'A100-40GB'"),
        ("memory", "1,5 GiB", r"`memory` must have one of these forms"),
        ("memory", "-5 GiB", r"`memory` must have one of these forms"),
        ("memory", "600 % of A100-40GB", r"`memory` must be a share between 0 and 100 %"),
        ("flops", True, r"`flops` must have one of these forms: 2_000_000"),
        ("flops", float("nan"), r"`flops` must be a positive number"),
        ("parameters", -5, r"`parameters` must be a positive number"),
    ],
)
def test_rejects(name, given, message):
    with pytest.raises(ValueError, match=message):
        Budget(**{name: given})


def test_a_violation_in_one_line():
    budget = Budget(memory="1 GiB", latency="1 ms", parameters=200)
    assert budget.check(cost()) == budget.check(cost())[:1]
    worst, second = budget.check(cost(memory=3 * GIB, latency=2.0))
    assert str(worst) == "memory: 3.0 GiB (compiled), 200.0 % over the limit of 1.0 GiB"
    assert str(second) == "latency_p50: 2 ms (measured), 100.0 % over the limit of 1 ms"


def test_relative_limits_need_a_baseline():
    budget = Budget(latency="+0 %", memory="2 GiB")
    assert budget.needs_baseline
    assert budget.check(cost(), cost()) == []
    assert [v.limit for v in budget.check(cost(latency=2.1), cost())] == ["latency_p50"]
    with pytest.raises(ValueError, match=r"`latency='\+0 %'` is relative .*baseline=None"):
        budget.check(cost())


def test_a_prediction_is_not_compared_with_a_measurement():
    def predicted(value, rows):
        return cost(latency_p50=Figure(value, "ms", "analytic", f"{rows} rows"))

    budget = Budget(latency="+0 %")
    assert [str(v) for v in budget.check(predicted(3.0, 100), predicted(2.0, 100))] == [
        "latency_p50: 3 ms (analytic), 50.0 % over the limit of 2 ms"
    ]
    for own, other in ((predicted(1.0, 100), cost()), (cost(), predicted(1.0, 100))):
        with pytest.raises(
            ValueError, match=r"`latency_p50` of model and baseline must have the same fidelity"
        ):
            budget.check(own, other)
    with pytest.raises(
        ValueError, match=r"Received: analytic \(100 rows\) and analytic \(1 rows\)"
    ):
        budget.check(predicted(1.0, 100), predicted(1.0, 1))


def test_a_predicted_latency_that_leaves_something_out_is_no_pass(features, tasks):
    class Odd(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

        def compute_output_shape(self, input_shape):
            return input_shape

    with kr.models.without_weights():
        model = kr.RankingModel(features, [Odd()], tasks)
    found = kr.budget.analytic_cost(model, latency_batch=1)
    with pytest.raises(
        ValueError, match=r"`latency` is within its limit, but does not include .*'Odd'"
    ):
        Budget(latency="1 s").check(found)


def test_what_was_not_measured_is_no_pass():
    with pytest.raises(
        ValueError, match=r"must contain the limited figure 'latency_p99'.*with_figures"
    ):
        Budget(latency="8 ms p99").check(cost())
    undefined = cost(latency=float("nan"))
    assert [v.limit for v in Budget(latency="8 ms").check(undefined)] == ["latency_p50"]


def test_largest_batch_is_the_last_that_fits(model):
    found = largest_batch(model, 0.6, device=64 * 2**20)
    fits, over = (
        kr.budget.analytic_cost(model, found.batch_size + more)["memory"].value for more in (0, 1)
    )
    assert fits <= 0.6 * 64 * 2**20 < over
    assert found.memory == pytest.approx(fits)
    assert "analytic" in str(found)


def test_what_was_not_counted_is_no_pass(features, tasks):
    class Odd(keras.layers.Layer):
        def call(self, inputs):
            return inputs

        def compute_output_shape(self, input_shape):
            return input_shape

    model = kr.RankingModel(features, [Odd()], tasks)
    cost = kr.budget.analytic_cost(model)
    with pytest.raises(ValueError, match=r"within its limit, but does not include \['Odd'\]"):
        Budget(memory="1 GiB").check(cost)
    assert [v.limit for v in Budget(parameters=1).check(cost)] == ["parameters"]
    assert (
        Budget(memory="1 GiB").check(cost.with_figures(memory=Figure(5.0, "bytes", "compiled")))
        == []
    )
    with pytest.raises(ValueError, match=r"memory of all layers and .* must be known.*\['Odd'\]"):
        largest_batch(model)


def test_a_model_that_does_not_fit_at_all(model):
    assert largest_batch(model, 0.6, device=1000).batch_size == 0


def test_above_three_quarters_there_is_a_warning(model):
    with pytest.warns(UserWarning, match="80% of the device memory leaves little"):
        largest_batch(model, 0.8)
    with pytest.raises(ValueError, match="`share` must be"):
        largest_batch(model, 1.2)
