"""What a budget-aware oracle saves: plain KerasTuner with `max_model_size` against `kranking.search`.

Command:  python recipes/benchmarks/search_study.py --rows-file docs/results/search.json
Cost:     about 15 seconds per training, 30 trials, two searches, three seeds; `--smoke` some seconds.
Expected: every one of our trials trains a model within the limit; of KerasTuner's about the share of the
          space that is.

Both get the same space, log, method (Bayesian, 10 random trials first) and number of trials. The limit is
the number of parameters that 30 % of random configurations keep to, since `max_model_size` knows no other.
KerasTuner would stop after three failures in a row: it is told to go on, and how soon it would have
stopped is a column. The best of some thirty noisy figures flatters: each search's choice is trained with
three other seeds and judged on the test rows, which no search reads. Finished searches are rows of a JSON
file; the same command goes on with the others.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

import kranking as kr
from kranking.data import LogFiles
from kranking.search import SearchSpace, Training, search

SHARE, BATCH = 0.3, 512


def main() -> None:
    args = parse()
    kept = json.loads(args.rows_file.read_text()) if args.rows_file.exists() else []
    if any(row.get("rows") != args.rows for row in kept):
        raise SystemExit(f"{args.rows_file} holds searches on other rows: give another file.")
    with tempfile.TemporaryDirectory() as folder:
        log = prepared(Path(folder), args.rows)
        space = SearchSpace(["masknet", "dcn_v2", "mlp"], log.features, log.tasks, batch_size=BATCH)
        limit = limit_of(space, args.draws)
        for seed in range(1, args.seeds + 1):  # KerasTuner takes 0 for "any"
            for arm, run in (("keras_tuner", plain), ("kranking", ours)):
                if any((row["arm"], row["seed"]) == (arm, seed) for row in kept):
                    continue
                start = time.perf_counter()
                row = run(space, log, limit, args.trials, seed, Path(folder) / f"{arm}{seed}")
                row |= {"arm": arm, "seed": seed, "trials": args.trials, "limit": limit}
                row["rows"] = args.rows
                row["seconds"] = round(time.perf_counter() - start, 1)
                seeds = [seed + 100 * i for i in (1, 2, 3)]
                if row["trained"]:  # else there is nothing to choose from
                    row["test"] = judged(maker(space, row["values"]), log, seeds)
                kept.append(row)
                kr.comparison.write_files(args.rows_file.parent, {args.rows_file.name: kept})
    print(table(kept))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="few rows and trials: does it run?")
    parser.add_argument("--rows-file", type=Path, default=Path("runs/search_study.json"))
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the synthetic log")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=200, help="configurations that set the limit")
    args = parser.parse_args()
    if args.smoke:
        args.rows, args.trials, args.seeds, args.draws = 1_000, 2, 1, 20
    return args


def prepared(folder: Path, num_rows: int) -> LogFiles:
    kr.data.write_homefeed(folder / "log", num_rows=num_rows, seed=0)
    features, tasks = kr.data.homefeed_declarations()
    features = kr.features.fit(features, folder / "log" / "train")
    parts = (folder / "log" / part for part in ("train", "valid", "test"))
    return LogFiles(*parts, features, tasks, "session_id")


def limit_of(space: SearchSpace, draws: int) -> int:
    """Returns the parameters that `SHARE` of random configurations keep to."""
    oracle = keras_tuner.oracles.RandomSearchOracle(
        "val_loss", max_trials=draws, hyperparameters=space.hyperparameters(), seed=1
    )
    found = []
    for number in range(draws):
        hp = space.hyperparameters()
        hp.values = oracle.populate_space(str(number))["values"]
        found.append(space.cost(hp).parameters)
    return int(np.quantile(found, SHARE))


def plain(
    space: SearchSpace, log: LogFiles, limit: int, trials: int, seed: int, out: Path
) -> dict[str, Any]:
    """KerasTuner as it is: a model over `max_model_size` is built, fails, and is a trial."""

    class Model(keras_tuner.HyperModel):
        def build(self, hp):
            keras.utils.set_random_seed(seed)
            return space(hp)

        def fit(self, hp, model, *args, callbacks=(), **kwargs):
            valid = evaluation(model, log.valid, log)
            return model.fit(rows(model, log, seed), callbacks=[valid, *callbacks], verbose=0)

    tuner = keras_tuner.BayesianOptimization(
        Model(),
        keras_tuner.Objective(f"val_{log.main_task}_auc", "max"),
        max_trials=trials,
        num_initial_points=10,
        max_model_size=limit,
        max_consecutive_failed_trials=trials + 1,
        seed=seed,
        directory=out,
        project_name="plain",
    )
    tuner.search(verbose=0)
    states = [tuner.oracle.trials[name] for name in tuner.oracle.end_order]
    good = [trial for trial in states if trial.status == "COMPLETED"]
    return {
        "trained": len(good),
        "feasible_share": len(good) / len(states),
        "best": max((trial.score for trial in good), default=None),
        "would_stop_at": first_row_of_failures([t.status == "COMPLETED" for t in states]),
        "values": tuner.get_best_hyperparameters()[0].values if good else {},
    }


def first_row_of_failures(done: list[bool], count: int = 3) -> int | None:
    """Returns the number of the trial at which `count` in a row have failed."""
    for end in range(count, len(done) + 1):
        if not any(done[end - count : end]):
            return end
    return None


def ours(
    space: SearchSpace, log: LogFiles, limit: int, trials: int, seed: int, out: Path
) -> dict[str, Any]:
    result = search(
        space,
        log,
        kr.budget.Budget(parameters=limit),
        method="bayesian",
        trials=trials,
        training=Training(verbose=0),
        seed=seed,
        out=out,
    )
    return {
        "trained": len(result.trained),
        "feasible_share": len(result.feasible) / len(result.found),
        "best": result.best().metric,
        "would_stop_at": None,
        "rejected": len(result.rejected),
        "oracle_time_share": result.oracle_time_share,
        "values": dict(result.best().values),
    }


def judged(make: Callable[[], Any], log: LogFiles, seeds: Iterable[int]) -> list[float]:
    """Returns the AUC on the test rows of a model, made and trained anew with each seed."""
    found = []
    for seed in seeds:
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        model = make()
        model.fit(rows(model, log, seed), verbose=0)
        scores = evaluation(model, log.test, log).evaluate(model)
        found.append(float(scores[f"val_{log.main_task}_auc"]))
    return found


def maker(space: SearchSpace, values: dict[str, Any]) -> Callable[[], Any]:
    """Returns a function that makes the compiled model of a configuration."""
    hp = space.hyperparameters()
    hp.values = dict(values)
    return lambda: space(hp)


def rows(model: Any, log: LogFiles, seed: int) -> Any:
    return kr.data.read_parquet(log.train, model, batch_size=BATCH, shuffle=True, seed=seed)


def evaluation(model: Any, part: Any, log: LogFiles) -> Any:
    read = kr.data.read_parquet(part, model, batch_size=BATCH)
    return kr.training.RankingEvaluation(read, log.session, ["auc"])


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the rows in Markdown."""
    headings = ["search", "seed", "trials", "trained", "best AUC", "on test", "stops at", "oracle"]
    lines = []
    for row in sorted(rows, key=lambda row: (row["arm"], row["seed"])):
        share = row.get("oracle_time_share")
        cells = [row["arm"], row["seed"], row["trials"], row["trained"]]
        if row["trained"]:
            test = np.array(row["test"])
            cells += [f"{row['best']:.4f}", f"{test.mean():.4f} ± {test.std(ddof=1):.4f}"]
        else:
            cells += ["–", "–"]
        cells += [row["would_stop_at"] or "–", "–" if share is None else f"{100 * share:.2f} %"]
        lines.append([*map(str, cells), f"{row['seconds']:.0f}"])
    return "\n".join(kr.comparison.markdown_table([*headings, "seconds"], lines, left=1))


if __name__ == "__main__":
    main()
