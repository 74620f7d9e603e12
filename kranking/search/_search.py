"""A search within a budget, from space and log to report."""

from pathlib import Path
from typing import Any

from kranking._core import check_choice, check_positive_int
from kranking.budget import Budget, Figure
from kranking.data import LogFiles
from kranking.search._baseline import Baseline, train_baseline
from kranking.search._budget_oracle import BudgetOracle
from kranking.search._measured_cost import MeasuredCost
from kranking.search._objective import Objective
from kranking.search._search_result import SearchResult
from kranking.search._search_space import SearchSpace
from kranking.search._settings import check_same_search, search_settings, write_settings
from kranking.search._training import Training
from kranking.search._tuner import is_worker, make_tuner

_METHODS = ("random", "bayesian", "hyperband")


def search(
    space: SearchSpace,
    log: LogFiles,
    budget: Budget,
    *,
    baseline: Any = None,
    method: str = "random",
    trials: int = 20,
    training: Training | None = None,
    objective: str | None = None,
    seed: int = 0,
    confirm: Any = None,
    out: str | Path = "search",
    accept_changes: bool = False,
) -> SearchResult | None:
    """Searches a space for the best model within a budget; every training is spent on one that is.

    The same call goes on where a killed one stopped; more `trials` add to it. Another space, budget, log,
    training or way of confirming in the same folder is refused. With KerasTuner's environment variables
    set, the process is its chief or one of its workers; they share `out`.

    Args:
        space: What is chosen from.
        log: The rows; models are chosen on the validation rows, test rows are not read.
        budget: The limits.
        baseline: An architecture's name, or `(name, arguments)`: what relative limits are measured against.
            It is trained too, at least twice, which also tells how noisy the metric is.
        method: `"random"`, `"bayesian"` or `"hyperband"`.
        trials: Configurations to train.
        training: How each is trained.
        objective: Such as `"save_auc"`; `None` takes the AUC of the first task.
        seed: Of draws and trainings, 0 included.
        confirm: `"measured"` measures latency and memory, where limited, of what the formulas accept,
            before a trial is made: on the exported ONNX file, and in steps. Or a slower `hp -> Cost` of
            your own, whose figures are held to absolute limits, or to the baseline's by formula.
        out: Folder of trials and report.
        accept_changes: Go on with another space, budget or training in a used folder; what was trained
            before stays, judged by the new budget.

    Returns: The result; `None` in a worker.

    Raises: `NoFeasiblePoint` before anything is trained, if the space holds none; `ValueError` for a
    folder of another search.
    """
    check_choice("method", method, _METHODS)
    check_positive_int("trials", trials)
    check_positive_int("seed", seed, minimum=0)
    training, out = training or Training(), Path(out)
    _check_arguments(space, log, budget, training, confirm)
    sought = Objective.of(objective, space.tasks, training.hit)
    base = None if baseline is None else Baseline.of(baseline, space)
    common = {"log": log, "training": training, "objective": sought, "seed": seed}
    settings = search_settings(space, budget, base, method=method, confirm=confirm, **common)
    if not accept_changes:
        check_same_search(out, settings)
    inner = make_oracle(method, space, sought, trials, training.epochs)
    oracle = _budget_oracle(inner, space, budget, base, confirm, out, seed)
    tuner, row = make_tuner(oracle, space, out / "tuner", **common), None
    if not is_worker():
        oracle.ensure_feasible()
        write_settings(out, settings)  # not before: a call that was refused leaves the folder free
        if base is not None:
            row = train_baseline(base, space, out, **common)
            spread = Figure(row["spread"], "", "measured")
            oracle.verdicts.baseline = base.cost(space).with_figures(spread=spread)
            row |= {"cost": oracle.verdicts.against.to_json()}
    tuner.search(verbose=1 if training.verbose == "auto" else training.verbose)
    if is_worker():
        return None
    result = SearchResult.of(oracle, space, row=row, out=out, **common)
    result.write(out)
    return result


def _check_arguments(space: Any, log: Any, budget: Any, training: Training, confirm: Any) -> None:
    """Raises `ValueError` for an argument of another kind, and for limits that could not be measured."""
    given = {"space": space, "log": log, "budget": budget, "training": training}
    for (name, value), kind in zip(given.items(), (SearchSpace, LogFiles, Budget, Training)):
        if not isinstance(value, kind):
            room = kind.__module__.rpartition(".")[0]
            raise ValueError(f"`{name}` must be a {room}.{kind.__name__}. Received: {value!r}")
    if "spread" in budget.to_json() and training.executions < 2:
        raise ValueError(
            "A limit on `spread` needs Training(executions=2) or more, to measure it. Received: "
            f"executions={training.executions}"
        )
    if isinstance(confirm, str):
        check_choice("confirm", confirm, ("measured",))


def _budget_oracle(
    oracle: Any,
    space: SearchSpace,
    budget: Budget,
    baseline: Baseline | None,
    confirm: Any,
    out: Path,
    seed: int,
) -> BudgetOracle:
    """Returns an oracle kept within the budget; measures the baseline if figures are measured."""
    cost = measured = None
    if baseline is not None:
        cost = baseline.cost(space)
    if confirm == "measured":
        chosen = None if baseline is None else baseline.chosen(space)
        confirm = MeasuredCost(space, budget, out / "measured", chosen)
        if chosen is not None and not is_worker():
            measured = confirm(chosen)
    against = {"baseline": cost, "confirmed_baseline": measured}
    return BudgetOracle(oracle, budget, space.cost, confirm=confirm, seed=seed, **against)


def make_oracle(
    method: str, space: SearchSpace, objective: Objective, trials: int, epochs: int
) -> Any:
    """Gives KerasTuner's oracle of a method, which knows the whole space from the start."""
    import keras_tuner

    oracles = keras_tuner.oracles
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(objective.name, objective.direction),
        "hyperparameters": space.hyperparameters(),
    }
    if method == "random":
        return oracles.RandomSearchOracle(max_trials=trials, **options)
    if method == "bayesian":
        # KerasTuner's default, three for each parameter of every architecture, is a random search.
        initial = max(4, trials // 3)
        return oracles.BayesianOptimizationOracle(
            max_trials=trials, num_initial_points=initial, **options
        )
    oracle = oracles.HyperbandOracle(max_epochs=epochs, hyperband_iterations=None, **options)
    oracle.max_trials = trials
    return oracle
