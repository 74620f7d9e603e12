"""Which features does a model use? Each one is permuted between test rows, and the NE rises.

Paper:    Zhang et al., Scaling user modeling, 2023, https://arxiv.org/abs/2311.09544, ranks the
          features of a ranking model by the change in normalised entropy (FI rank).
Command:  python recipes/feature_importance.py --out runs/importance                the synthetic home feed
          python recipes/feature_importance.py --data DIR --out runs/importance     KuaiRand-Pure in DIR
          … --model FILE.keras       scores a saved model on that log, and trains nothing
Cost:     one training, then features × repeats passes over the test rows: some minutes on 2 cores;
          `--smoke` under a minute.
Expected: a report; docs/results/feature-importance.md has two.

Features that read one column move together, and a sequence moves with its actions and ages. Columns that a
recipe derives from another column are listed in GROUPS. The same command with the same `--out` reuses
its model.
"""

import argparse
from pathlib import Path

import keras
import logs
import training

import kranking as kr

GROUPS = {  # by log: rates and lengths that were computed from the histories
    "kuairand": {
        "history": ["watch_seq", "like_seq", "long_watch_seq", "like_rate", "long_view_rate"]
        + ["history_len"]
    },
    "homefeed": {},
}


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "feature_importance")
    if args.data:
        log = logs.kuairand(Path(args.data), out / "log", 8_000 if args.smoke else None)
    else:
        log = logs.homefeed(out / "log", args.rows, args.seed)
    model = trained(args, log, Path(args.model) if args.model else out / "model.keras")
    rows = kr.data.read_parquet(log.test, model)
    report = kr.comparison.feature_importance(
        model,
        rows,
        log.session,
        groups=GROUPS[log.name] if args.grouped else None,
        repeats=args.repeats,
        seed=args.seed,
    )
    report.write(out)
    print(report)
    result = figures(report)
    kr.comparison.write_files(out, {"result.json": result})
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "feature_importance")
    names = kr.architectures.names()
    parser.add_argument("--model", help="a saved model of this log's columns; default: train one")
    parser.add_argument("--architecture", default="pinterest_baseline", choices=names)
    parser.add_argument("--scale", type=float, default=0.25, help="times the published widths")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the synthetic log")
    parser.add_argument("--repeats", type=int, default=5, help="permutations of each feature")
    parser.add_argument(
        "--grouped", action="store_true", help="move what is derived from the histories with them"
    )
    args = parser.parse_args(arguments)
    if args.smoke:
        args.rows, args.scale, args.repeats = 5_000, 0.05, 2
    return args


def trained(args: argparse.Namespace, log: logs.Log, path: Path) -> kr.RankingModel:
    """Returns the saved model, or trains one and saves it."""
    if args.model or path.exists():
        return keras.saving.load_model(path)
    features = kr.features.fit(log.features, log.train)
    epochs = 1 if args.smoke else None
    found = training.train(
        args.architecture, features, log, seed=args.seed, scale=args.scale, epochs=epochs, verbose=2
    )
    unfinished = path.with_name(f"unfinished-{path.name}")
    found.model.save(unfinished)
    unfinished.replace(path)
    return found.model


def figures(report: kr.comparison.FeatureImportance) -> dict[str, float]:
    """The flat object of result.json; undefined figures are omitted."""
    result = {f"{task}.ne": value for task, value in report.normalized_entropy.items()}
    for task in report.tasks:
        for name, (rank, _, _) in report.ranks(task).items():
            result[f"{task}.{name}.change"] = report[name].changes[task].estimate
            result[f"{task}.{name}.rank"] = float(rank)
    return {name: float(value) for name, value in result.items() if value == value}


if __name__ == "__main__":
    main()
