"""A search within a budget, from search space and log to report."""

import sys
from pathlib import Path
from typing import Any

from kranking._core import check_choice, check_positive_int
from kranking._paths import as_path
from kranking.budget import Budget, Figure
from kranking.data import LogFiles
from kranking.search._baseline import Baseline, train_baseline
from kranking.search._budget_oracle import BudgetOracle
from kranking.search._measured_cost import MeasuredCost
from kranking.search._objective import Objective
from kranking.search._report import used_up_note
from kranking.search._search_result import SearchResult
from kranking.search._search_space import SearchSpace
from kranking.search._settings import check_same_search, search_settings, write_settings
from kranking.search._training import Training
from kranking.search._tuner import is_worker, make_tuner
from kranking.training.internal import keep_random_states

_METHODS = ("random", "bayesian", "hyperband")


@keep_random_states()
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
    """Searches for the best model within a budget; only models within the budget are trained.

    The same call resumes an interrupted search, and a larger `trials` extends it. A folder of a search with
    another space, budget, log, training or confirmation raises. If the environment variables of KerasTuner
    are set, the process is the chief or a worker of a distributed search; all of them share `out`.

    Args:
        space: The search space.
        log: The log. Models are selected on the validation rows; test rows are not read.
        budget: The limits.
        baseline: Name of an architecture, or `(name, arguments)`: the reference of relative limits. It is
            trained at least twice, which also measures the noise of the metric.
        method: `"random"`, `"bayesian"` or `"hyperband"`.
        trials: Number of configurations to train.
        training: Training settings.
        objective: Metric of a task, such as `"save_auc"`; `None` selects the AUC of the first task.
        seed: Seed of draws and trainings.
        confirm: `"measured"` measures limited latency and memory, on the exported ONNX file and in
            training steps, for configurations that are within the budget analytically, before a trial is
            created. Or a custom function `hp -> Cost`, whose figures are compared to absolute limits, or
            to the analytic cost of the baseline.
        out: Folder of trials and report.
        accept_changes: Whether to continue in the folder of a search with another space, budget or
            training; earlier trials are kept and checked against the new budget.

    Returns:
        A `SearchResult`, or `None` in a worker.

    Raises:
        NoFeasiblePoint: If the space has no feasible configuration, before anything is trained.
        ValueError: If the folder belongs to another search.
    """
    check_choice("method", method, _METHODS)
    check_positive_int("trials", trials)
    check_positive_int("seed", seed, minimum=0)
    training, out = training or Training(), as_path("out", out)
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
        write_settings(out, settings)  # not earlier: a call that raises leaves the folder empty
        if base is not None:
            row = train_baseline(base, space, out, settings=settings, **common)
            spread = Figure(row["spread"], "", "measured")
            oracle.verdicts.baseline = base.cost(space).with_figures(spread=spread)
            row |= {"cost": oracle.verdicts.against.to_json()}
    tuner.search(verbose=1 if training.verbose == "auto" else training.verbose)
    if is_worker():
        return None
    result = SearchResult.of(oracle, space, row=row, out=out, **common)
    result.write(out)
    if result.used_up and oracle.verbose:
        print(used_up_note(result), flush=True)
    return result


def _check_arguments(space: Any, log: Any, budget: Any, training: Training, confirm: Any) -> None:
    """Raises `ValueError` for arguments of a wrong type and limits that cannot be measured."""
    given = {"space": space, "log": log, "budget": budget, "training": training}
    for (name, value), kind in zip(given.items(), (SearchSpace, LogFiles, Budget, Training)):
        if not isinstance(value, kind):
            room = kind.__module__.rpartition(".")[0]
            raise ValueError(
                f"`{name}` must be a {room}.{kind.__name__}. Received: {name}={value!r}"
            )
    if "spread" in budget.to_json() and training.executions < 2:
        raise ValueError(
            "A limit on `spread` requires at least Training(executions=2). Received: "
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
    """Returns an oracle restricted to the budget; measures the baseline if `confirm` measures."""
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
    """Returns the KerasTuner oracle of a method, initialized with the whole space."""
    import keras_tuner

    oracles = keras_tuner.oracles
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(objective.name, objective.direction),
        "hyperparameters": space.hyperparameters(),
        # A trial that diverges is a result; the default of KerasTuner gives up after three in a row.
        "max_consecutive_failed_trials": sys.maxsize,
    }
    if method == "random":
        return oracles.RandomSearchOracle(max_trials=trials, **options)
    if method == "bayesian":
        # The default of KerasTuner, three per parameter of all architectures, amounts to random search.
        initial = max(4, trials // 3)
        return oracles.BayesianOptimizationOracle(
            max_trials=trials, num_initial_points=initial, **options
        )
    oracle = oracles.HyperbandOracle(max_epochs=epochs, hyperband_iterations=None, **options)
    oracle.max_trials = trials
    return oracle
