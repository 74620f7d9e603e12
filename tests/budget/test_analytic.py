import keras
import numpy as np
import pytest

import kranking as kr
from kranking.budget import Cost, Figure, analytic_cost, layer_table, slots_per_parameter
from kranking.budget._latency_model import predicted_latency


def test_counts_are_those_of_the_weights(model):
    cost = analytic_cost(model, batch_size=64)
    assert not model.built
    model.build()
    assert cost.parameters == model.count_params() == cost["artefact"].value / 4
    assert cost["table_parameters"].value == 1001 * 8
    rows = {name: np.zeros((1, *s.shape), s.dtype) for name, s in model.preprocessor.inputs.items()}
    assert cost["flops"].value == kr.testing.traced_matmul_flops(model, rows)
    assert {figure.fidelity for figure in cost.figures.values()} == {"analytic"}


def test_memory_is_the_sum_of_its_parts_and_grows_as_the_formula_says(model):
    one, two = (analytic_cost(model, batch_size=size) for size in (100, 200))
    assert one["memory"].value == sum(one.memory_parts.values())
    for part, grows in {
        "parameters": 1,
        "slots": 1,
        "gradients": 1,
        "inputs": 2,
        "activations": 2,
    }.items():
        assert two.memory_parts[part] == grows * one.memory_parts[part] > 0
    assert one.memory_parts["parameters"] == 4 * one.parameters
    assert one.memory_parts["slots"] == 2 * one.memory_parts["parameters"]  # Adam's two moments
    plain = analytic_cost(model, 100, optimizer=keras.optimizers.SGD())
    assert plain.memory_parts["slots"] == 0
    assert plain.optimizer == "SGD"


def test_half_precision_halves_the_activations_only(features, tasks):
    def cost(policy):
        with kr.models.without_weights():
            blocks = [kr.layers.MLP([32], dtype=policy)]
            return analytic_cost(kr.RankingModel(features, blocks, tasks, dtype=policy))

    full, half = cost("float32"), cost("mixed_bfloat16")
    assert half.memory_parts["activations"] == full.memory_parts["activations"] / 2
    assert half.memory_parts["parameters"] == full.memory_parts["parameters"]
    assert half.dtype == "mixed_bfloat16"


def test_what_cannot_be_counted_is_listed(features, tasks):
    class Odd(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

        def compute_output_shape(self, input_shape):
            return input_shape

    model = kr.RankingModel(features, [Odd()], tasks)
    assert analytic_cost(model).unknown == ("Odd",)
    assert analytic_cost(model, optimizer="adafactor").unknown == ("Odd", "slots of Adafactor")


@pytest.mark.parametrize(
    ("name", "options", "slots"),
    [
        ("SGD", {}, 0),
        ("SGD", {"momentum": 0.9}, 1),
        ("Adagrad", {}, 1),
        ("RMSprop", {}, 1),
        ("Adam", {}, 2),
        ("Adam", {"amsgrad": True}, 3),
        ("Adam", {"use_ema": True}, 3),
        ("Ftrl", {}, 2),
        ("Adafactor", {}, None),
        ("Muon", {}, None),
    ],
)
def test_slots(name, options, slots):
    assert slots_per_parameter(getattr(keras.optimizers, name)(**options)) == slots
    if not options:
        assert slots_per_parameter(name.lower()) == slots


def test_slots_leave_the_optimizer_alone():
    optimizer = keras.optimizers.Adam()
    slots_per_parameter(optimizer)
    assert not optimizer.built


def test_every_architecture_is_counted_in_full(features, tasks):
    """No layer of the registry is unknown, and the sum of all layers is the model."""
    for name in ("pinterest_launch", "dhen", "final_mlp", "wide_deep"):
        row = kr.architectures.get(name)
        with kr.models.without_weights():
            model = row.build(features, tasks, **row.smallest)
        cost = analytic_cost(model, hyperparameters=len(row.hyperparameters))
        assert cost.unknown == ()
        assert cost["hyperparameters"].value == len(row.hyperparameters)
        table = layer_table(model)
        assert sum(r["parameters"] for r in table.rows) == cost.parameters
        assert sum(r["memory"] for r in table.rows) == pytest.approx(
            cost.memory_parts["activations"]
        )


def test_latency_is_predicted_if_asked_for(model):
    assert "latency_p50" not in analytic_cost(model)
    one, ten = (analytic_cost(model, latency_batch=n)["latency_p50"] for n in (1, 10))
    assert one.unit == "ms"
    assert one.fidelity == "analytic"
    assert one.conditions.startswith("ONNX Runtime, 1 rows, 1 thread, as on ")
    assert 0 < one.value < ten.value < 10 * one.value  # what a request costs whatever its rows
    assert not model.built


def test_latency_grows_with_the_model_and_with_its_fields(features, tasks):
    def latency(features, *units):
        with kr.models.without_weights():
            model = kr.RankingModel(features, [kr.layers.MLP(units)], tasks)
        return analytic_cost(model, latency_batch=100)["latency_p50"].value

    more = [*features, kr.features.Numeric("pins", mean=1.0, std=1.0)]
    assert latency(features, 32) < latency(features, 64) < latency(features, 64, 64)
    assert latency(features, 32) < latency(more, 32)


def test_a_class_that_no_fitted_model_had_takes_the_common_factors():
    some = kr.layers.Work(matmul_flops=10, by_class={"Strange": (1, 10, 0)})
    other = kr.layers.Work(matmul_flops=10, by_class={"": (1, 10, 0)})
    assert predicted_latency(some, 1) == predicted_latency(other, 1)


def test_layer_table_as_text_and_as_html(model):
    table = layer_table(model, batch_size=8)
    text = str(table).splitlines()
    assert text[0].split()[:2] == ["layer", "class"]
    assert len(text) == 1 + len(table.rows)
    assert any("█" in line for line in text)
    page = table.to_html()
    assert page.count("<tr>") == 1 + len(table.rows)
    assert "CrossNetwork" in page
    assert "<script" not in page


def test_costs_survive_json(model):
    cost = analytic_cost(model).with_figures(latency_p50=Figure(1.5, "ms", "measured", "1 thread"))
    assert Cost.from_json(cost.to_json()) == cost
    assert str(cost["latency_p50"]) == "1.5 ms"


def test_a_missing_figure_names_those_that_are_there(model):
    with pytest.raises(
        KeyError, match=r"The figure must be one of .*'flops'.*Received: 'latency_p99'"
    ):
        analytic_cost(model)["latency_p99"]


def test_rejects(model):
    with pytest.raises(
        ValueError, match=r"`batch_size` must be a positive integer. Received: batch_size=0"
    ):
        analytic_cost(model, batch_size=0)
    with pytest.raises(ValueError, match="`latency_batch` must be a positive integer"):
        analytic_cost(model, latency_batch=0)
    with pytest.raises(ValueError, match="`fidelity` must be one of"):
        Figure(1.0, "ms", "guessed")
