"""How good are the architectures, and how much of it is luck? The same training, over several seeds.

Paper:    Malreddy et al., Improving feature interactions at Pinterest under industry constraints,
          2024, https://arxiv.org/abs/2412.01985: stability is one of its five limits.
Command:  python recipes/seeds.py --seeds 5 --out runs/seeds             the synthetic home feed
          python recipes/seeds.py --data DIR --out runs/kuairand         KuaiRand-Pure in DIR
Cost:     10 to 60 seconds per training on 2 cores; `--smoke` a minute in all.
Expected: see docs/results/homefeed.md and docs/results/kuairand.md.

Trains each architecture with seeds `--seed`, `--seed + 1`, … on one log, under the protocol of that log,
which is the same for all; keeps the best epoch on the validation rows, reports on the test rows: mean and
sample standard deviation, beside a random ranking and, where it is known, the best possible result.
A finished training is a small file in the run folder: the same command with the same `--out` goes on
where a killed run stopped.
"""

import argparse
import json
import statistics
from pathlib import Path

import keras
import logs
import matplotlib.pyplot as plt
import training
from rich.console import Console
from rich.table import Table

import kranking as kr

ARCHITECTURES = ["mlp", "pinterest_baseline", "pinterest_launch"]
console = Console()


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "seeds")
    if args.data:
        log = logs.kuairand(Path(args.data), out / "log", 8_000 if args.smoke else None)
    else:
        log = logs.homefeed(out / "log", args.rows, args.seed)
    features = kr.features.fit(log.features, log.train)
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in args.architectures}
    for seed in range(
        args.seed, args.seed + args.seeds
    ):  # seed by seed: a part is a comparison too
        for name in args.architectures:
            scores[name].append(trained_once(out, name, features, log, seed, args))
    references = training.best_possible(log) | {"hit3_random": training.random_hit(log)}
    result = figures(scores, references, log)
    write_report(out, scores, result, log, args)
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "seeds")
    parser.add_argument("--seeds", type=int, help="trainings of each architecture; default 3")
    parser.add_argument(
        "--architectures", nargs="+", default=ARCHITECTURES, choices=kr.architectures.names()
    )
    parser.add_argument("--rows", type=int, help="rows of the synthetic log")
    parser.add_argument("--scale", type=float, default=0.25, help="times the published widths")
    args = parser.parse_args(arguments)
    args.seeds = args.seeds or (2 if args.smoke else 3)
    args.rows = args.rows or (10_000 if args.smoke else logs.HOMEFEED_ROWS)
    args.epochs = 1 if args.smoke else None
    return args


def trained_once(
    out: Path, name: str, features: list, log: logs.Log, seed: int, args: argparse.Namespace
) -> dict[str, float]:
    """Trains, or reads what an earlier run of the same settings has left."""
    settings = {
        "declarations": kr.features.schema_hash(features),
        "protocol": log.protocol.to_json(),
        "epochs": args.epochs,
        "scale": args.scale,
        "rows": args.rows if log.name == "homefeed" else None,
    }
    path = out / f"{name}-seed{seed}.json"
    if path.exists():
        done = json.loads(path.read_text())
        if done["settings"] != settings:
            raise SystemExit(f"{path} was trained otherwise: choose another --out. It has {done}")
        console.print(f"{name}, seed {seed}: already trained")
        return done["test"]
    console.rule(f"{name}, seed {seed}")
    keras.backend.clear_session()
    trained = training.train(
        name, features, log, seed=seed, scale=args.scale, epochs=args.epochs, verbose=2
    )
    best = max(trained.history[f"val_{log.tasks[0].name}_auc"])
    done = {
        "settings": settings,
        "backend": keras.backend.backend(),
        "parameters": trained.model.count_params(),
        "seconds_per_epoch": trained.seconds_per_epoch,
        "history": trained.history,
        "valid": best,
        "test": trained.test,
    }
    kr.comparison.write_files(path.parent, {path.name: done})
    return trained.test


def figures(scores: dict, references: dict[str, float], log: logs.Log) -> dict[str, float]:
    """The flat object of result.json: mean and sample deviation of each figure."""
    result = dict(references)
    main_task, hit = log.tasks[0].name, log.protocol.hit.name
    for name, runs in scores.items():
        wanted = {"hit3": f"{main_task}_{hit}"}
        for task in log.tasks:
            wanted |= {f"auc_{task.name}": f"{task.name}_auc", f"ne_{task.name}": f"{task.name}_ne"}
        for figure, key in wanted.items():
            values = [run[key] for run in runs]
            result[f"{figure}_{name}"] = statistics.fmean(values)
            result[f"{figure}_{name}_sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
            if f"{figure}_bayes" in references:
                gap = references[f"{figure}_bayes"] - result[f"{figure}_{name}"]
                result[f"{figure}_{name}_gap"] = gap
    return {name: float(value) for name, value in result.items()}


def write_report(
    out: Path, scores: dict, result: dict[str, float], log: logs.Log, args: argparse.Namespace
) -> None:
    """Prints the table, and writes it with a plot and the figures."""
    names, known = list(scores), "hit3_bayes" in result
    headings = [f"{log.name}, test rows", *names, "random", *(["Bayes-optimal"] if known else [])]
    rows = table_rows(names, result, log, known)
    table = Table()
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    plot(out / "seeds.png", scores, result, log)
    lines = [
        f"# {log.name}: {args.seeds} seeds",
        "",
        *kr.comparison.markdown_table(headings, rows, left=1),
        "",
        "Mean ± sample standard deviation over the seeds"
        + ("; in brackets the way to the best possible." if known else "."),
        "",
        f"- protocol: `{json.dumps(log.protocol.to_json())}`",
        f"- scale {args.scale}, backend {keras.backend.backend()}",
        "",
        f"![{log.protocol.hit.name} of every training](seeds.png)",
        "",
    ]
    kr.comparison.write_files(out, {"report.md": "\n".join(lines), "result.json": result})
    console.print(f"Run folder: [bold]{out}[/] (report.md, seeds.png, result.json)")


def table_rows(
    names: list[str], result: dict[str, float], log: logs.Log, known: bool
) -> list[list[str]]:
    """One row per figure."""
    labels = {f"HIT@3 {log.tasks[0].name}": ("hit3", result["hit3_random"])}
    for task in log.tasks:
        labels |= {f"AUC {task.name}": (f"auc_{task.name}", 0.5)}
        labels |= {f"NE {task.name}": (f"ne_{task.name}", 1.0)}
    rows = []
    for label, (figure, random) in labels.items():
        row = [label]
        for name in names:
            mean, sd = result[f"{figure}_{name}"], result[f"{figure}_{name}_sd"]
            gap = result.get(f"{figure}_{name}_gap")
            text = f"{kr.metrics.as_text(mean)} ± {kr.metrics.as_text(sd)}"
            row.append(text if gap is None else f"{text} ({gap:+.3f})")
        row.append(kr.metrics.as_text(random))
        rows.append(row + ([kr.metrics.as_text(result[f"{figure}_bayes"])] if known else []))
    return rows


def plot(path: Path, scores: dict, result: dict[str, float], log: logs.Log) -> None:
    """Draws one dot for each training."""
    task, hit = log.tasks[0].name, log.protocol.hit.name
    figure, axis = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
    for place, (name, runs) in enumerate(scores.items()):
        axis.plot([place] * len(runs), [r[f"{task}_{hit}"] for r in runs], "o", alpha=0.6)
        axis.plot([place - 0.15, place + 0.15], [result[f"hit3_{name}"]] * 2, color="0.3")
    for line, label in (("hit3_random", "random"), ("hit3_bayes", "best possible")):
        if line in result:
            axis.axhline(result[line], linestyle=":", color="0.5")
            axis.annotate(
                label,
                (1, result[line]),
                xytext=(0, 4 if line == "hit3_random" else -12),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
            )
    axis.set(ylabel=f"HIT@3 of {task}, test sessions", xlim=(-0.5, len(scores) - 0.5))
    axis.set_xticks(range(len(scores)), list(scores))
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
