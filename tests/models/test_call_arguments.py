"""Wrong arguments of `fit`, `evaluate`, `predict` and `compile`: one sentence, before the first step."""

import keras
import numpy as np
import pytest

import kranking as kr

X, Y = {"age": np.arange(4.0)}, {"save": np.array([0, 1, 0, 1])}


@pytest.fixture(scope="module")
def model():
    age = kr.features.Numeric("age", mean=0.0, std=1.0)
    made = kr.RankingModel([age], [], [kr.Task("save"), kr.Task("hide")])
    made.compile("sgd", weighted_metrics=None)
    return made


STOP = keras.callbacks.EarlyStopping
CALLS = {
    "callbacks": [[None], [STOP], "x", 3],
    "verbose": ["x", None, 3, -1],
    "epochs": ["x", None, 0, 1.5, True],
    "batch_size": [0, -1, "x", 2.5],
    "initial_epoch": [-1, "x", None],
    "steps_per_epoch": [0, "x"],
    "validation_steps": [0],
    "validation_batch_size": ["x"],
    "validation_split": [2.0, 1, "x"],
    "shuffle": ["x"],
    "steps": [0, "x"],
}
CASES = [
    ("fit" if name != "steps" else "evaluate", name, value)
    for name, values in CALLS.items()
    for value in values
]
CASES += [
    (call, name, CALLS[name][0])
    for call in ("evaluate", "predict")
    for name in ("callbacks", "verbose", "batch_size", "steps")
]


@pytest.mark.parametrize(("call", "name", "value"), CASES, ids=str)
def test_wrong_arguments_are_refused(model, call, name, value):
    arguments = [X] if call == "predict" else [X, Y | {"hide": Y["save"]}]
    with pytest.raises(ValueError, match=rf"`{name}` must .*Received: "):
        getattr(model, call)(*arguments, **{"verbose": 0, name: value})


@pytest.mark.parametrize("call", ["fit", "evaluate"])
def test_no_data_is_refused(model, call):
    with pytest.raises(ValueError, match=r"Rows must be a dict of columns.*Received: None"):
        getattr(model, call)(verbose=0)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("optimizer", None, "such as 'adam'. Received: optimizer=None"),
        ("optimizer", "adamm", "Received: optimizer='adamm'"),
        ("optimizer", keras.optimizers.Adam, "Received: optimizer=the class Adam"),
        ("optimizer", {}, "Received: optimizer={}"),
        ("loss", "mee", "Received: loss='mee'"),
        ("loss", 3, "Received: loss=3"),
        ("loss", keras.losses.MeanSquaredError, "Received: loss=<class"),
        ("loss", {"like": "mse"}, r"by task, of \['save', 'hide'\]. Received: loss={'like'"),
        ("loss", ["mse"], "a list in the order of the tasks"),
        ("loss", {"save": None}, "have a loss for a task. Received: loss={'save': None}"),
        ("loss_weights", {"like": 1.0}, "Received: loss_weights={'like': 1.0}"),
        ("loss_weights", {"save": -1.0}, r"a number in \[0, inf\]. Received: loss_weights=-1.0"),
        ("loss_weights", ["a", "b"], "Received: loss_weights='a'"),
        ("jit_compile", "x", "Received: jit_compile='x'"),
        ("run_eagerly", "x", "Received: run_eagerly='x'"),
        ("steps_per_execution", 0, "Received: steps_per_execution=0"),
    ],
)
def test_wrong_arguments_of_compile_are_refused(model, name, value, match):
    with pytest.raises(ValueError, match=rf"`{name}` must .*{match}"):
        model.compile(**{name: value})


def test_lists_are_in_the_order_of_the_tasks(model):
    """Which is not that of the alphabet, as in Keras; a weight that is left out is the task's."""
    made = kr.RankingModel(model.features, [], model.tasks)
    mse, mae = keras.losses.MeanSquaredError(), keras.losses.MeanAbsoluteError()
    made.compile("sgd", [mse, mae], {"hide": 3.0}, weighted_metrics=None)
    made.heads.set_weights([np.zeros((1, 2)), np.array([0.5, 0.25])])
    y = {"save": np.zeros(4), "hide": np.zeros(4)}
    logs = made.evaluate(X, y, verbose=0, return_dict=True)
    assert logs == pytest.approx({"save_loss": 0.25, "hide_loss": 0.25, "loss": 0.25 + 0.75})


def test_a_task_without_a_loss_is_not_trained(model):
    made = kr.RankingModel(model.features, [], model.tasks)
    made.compile("sgd", {"save": "mse"}, weighted_metrics=None)
    made.heads.set_weights([np.zeros((1, 2)), np.array([0.5, 0.25])])
    y = {"save": np.zeros(4), "hide": np.zeros(4)}
    assert made.evaluate(X, y, verbose=0, return_dict=True)["loss"] == pytest.approx(0.25)
    made.fit(X, y, verbose=0)
    assert made.heads.get_weights()[1][1] == 0.25
