"""Pinterest's baseline and launch candidate: from a log of impressions to a prediction.

Paper:    Malreddy et al., Improving feature interactions at Pinterest under industry constraints,
          2024, https://arxiv.org/abs/2412.01985 (Figures 2a and 2b).
Command:  python recipes/homefeed.py                    the synthetic home feed
          python recipes/homefeed.py --data DIR         KuaiRand-Pure, joined from the tables in DIR
Cost:     under 3 minutes on 2 cores; `--smoke` under 1. `--strategy mirrored` uses all GPUs.
Expected: see docs/results/homefeed.md.

Trains both models on the same rows, keeps each one's best epoch on the validation rows, reports on
the test rows, exports both as SavedModel and ONNX, checks the artefacts against the models, answers one
session through ONNX Runtime, and leaves a run folder: models, bundles, report.md, plots, result.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import keras
import logs
import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq
import training
from rich.console import Console
from rich.table import Table
from training import Trained

import kranking as kr

BASELINE, LAUNCH = "pinterest_baseline", "pinterest_launch"
console = Console()


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "homefeed")
    if args.data:
        log = logs.kuairand(Path(args.data), out / "log", 8_000 if args.smoke else None)
    else:
        log = logs.homefeed(out / "log", args.rows, args.seed)
    strategy = None
    if args.strategy == "mirrored":
        strategy = kr.training.mirrored_strategy(args.logical_cpus)
    console.rule(f"[bold]{log.name}[/] · backend {keras.backend.backend()} · scale {args.scale}")
    features = kr.features.fit(log.features, log.train)
    how = {"seed": args.seed, "scale": args.scale, "epochs": args.epochs, "strategy": strategy}
    trained = {}
    for name in (BASELINE, LAUNCH):
        console.rule(name)
        trained[name] = training.train(name, features, log, **how)
    for name, result in trained.items():
        console.print(f"[bold]{name}[/]: {widths(result.model)}")
        result.model.save(out / f"{name}.keras")
        serve(name, result, out, args, log)
    latencies = compare_latency(trained, log, args.rounds)
    answer_one_session(trained[LAUNCH], log)
    result = figures(trained, latencies, log)
    write_report(out, result, trained, latencies, log, args)
    console.print(f"Run folder: [bold]{out}[/] (report.md, plots, models, bundles, result.json)")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "homefeed")
    parser.add_argument("--rows", type=int, help="rows of the synthetic log")
    parser.add_argument("--epochs", type=int, help="fewer than the log's protocol says")
    parser.add_argument(
        "--scale", type=float, default=0.25, help="times the published widths, both models"
    )
    parser.add_argument("--strategy", choices=["none", "mirrored"], default="none")
    parser.add_argument("--logical-cpus", type=int, help="try --strategy mirrored without GPUs")
    args = parser.parse_args(arguments)
    args.rows = args.rows or (20_000 if args.smoke else logs.HOMEFEED_ROWS)
    args.epochs = args.epochs or (1 if args.smoke else None)
    args.rounds = 20 if args.smoke else 100
    return args


def widths(model: kr.RankingModel) -> str:
    """Describes how wide the model is from block to block."""
    sizes = []
    for layer, _, shape in kr.models.walk(model.encoder, model.stack):
        if layer is not model.encoder:
            shapes = shape if isinstance(shape, list) else [shape]
            sizes.append(f"{type(layer).__name__} {' + '.join(str(s[-1]) for s in shapes)}")
    return " → ".join(sizes) + f"; {model.count_params():,} parameters"


def serve(name: str, trained: Trained, out: Path, args: argparse.Namespace, log: logs.Log) -> None:
    """Exports, checks, and loads the bundle as a server would."""
    model = trained.model
    x = model.preprocess(columns(log, model, 64))
    report = kr.export.export_model(
        model,
        out / "bundles" / name,
        seed=args.seed,
        check_rows=x,
        metadata={"log": log.name, "scale": args.scale},
    )
    console.print(str(report))
    trained.reached = report.reached
    trained.bundle = kr.export.load_bundle(
        out / "bundles" / name, features=model.features, threads=1
    )


def columns(log: logs.Log, model: kr.RankingModel, rows: int) -> dict[str, Any]:
    """Reads the first test rows, raw."""
    files = kr.features.find_files(log.test)
    names = [
        *model.preprocessor.columns,
        log.session,
        *(name for task in log.tasks for name in task.columns),
    ]
    batch = next(pq.ParquetFile(files[0]).iter_batches(rows, columns=list(dict.fromkeys(names))))
    return {name: batch.column(name) for name in batch.schema.names}


def compare_latency(trained: dict[str, Trained], log: logs.Log, rounds: int) -> Any:
    """Measures both bundles in turns, one request of 100 candidates."""
    calls = {}
    for name, result in trained.items():
        x = result.model.preprocess(columns(log, result.model, 100))
        calls[name] = lambda bundle=result.bundle, x=x: bundle.predict(x)
    latencies = kr.serving.latency_in_turns(calls, rounds=rounds, batch=100, threads=1)
    for name, result in trained.items():
        result.p50 = latencies.percentile(name, 50)
    return latencies


def answer_one_session(trained: Trained, log: logs.Log) -> None:
    """Ranks the pins of one test session through ONNX Runtime."""
    raw = columns(log, trained.model, 500)
    session = raw[log.session].to_pylist()
    rows = [i for i, value in enumerate(session) if value == session[0]]
    x = trained.model.preprocess({name: column.take(rows) for name, column in raw.items()})
    answer = trained.bundle.predict(x)
    task = log.tasks[0]
    scores, labels = (
        np.asarray(answer[task.name]).ravel(),
        raw[task.columns[0]].take(rows).to_pylist(),
    )
    table = Table(title=f"Session {session[0]} through ONNX Runtime, ranked by {task.name}")
    for heading in ("rank", f"p({task.name})", "label"):
        table.add_column(heading, justify="right")
    for rank, i in enumerate(np.argsort(-scores, kind="stable")[:10], start=1):
        table.add_row(str(rank), f"{scores[i]:.4f}", str(int(labels[i])))
    console.print(table)


def figures(trained: dict[str, Trained], latencies: Any, log: logs.Log) -> dict[str, float]:
    """The flat object of result.json."""
    baseline, launch = trained[BASELINE], trained[LAUNCH]
    task, hit = log.tasks[0].name, log.protocol.hit.name
    result = {f"auc_{t.name}": launch.test[f"{t.name}_auc"] for t in log.tasks}
    result |= {f"auc_{t.name}_baseline": baseline.test[f"{t.name}_auc"] for t in log.tasks}
    result |= {f"ne_{t.name}": launch.test[f"{t.name}_ne"] for t in log.tasks}
    result |= {
        "hit3_baseline": baseline.test[f"{task}_{hit}"],
        "hit3_launch": launch.test[f"{task}_{hit}"],
        "hit3_random": training.random_hit(log),
        "parity_onnx": max(t.reached["onnx"] for t in trained.values()),
        "parity_saved_model": max(t.reached["saved_model"] for t in trained.values()),
        "latency_ratio": latencies.ratio(LAUNCH, BASELINE),
        "parameters_baseline": baseline.model.count_params(),
        "parameters_launch": launch.model.count_params(),
    }
    result |= training.best_possible(log)
    return {name: float(value) for name, value in result.items()}


def write_report(
    out: Path, result: dict, trained: dict[str, Trained], latencies: Any, log: logs.Log, args: Any
) -> None:
    """Prints the table, and writes it with the plots and the figures."""
    headings = [f"{log.name}, test rows", "baseline", "launch", "random", "best possible"]
    rows = table_rows(result, trained, latencies, log)
    if log.name != "homefeed":  # only of the synthetic log is the best possible result known
        headings, rows = headings[:-1], [row[:-1] for row in rows]
    table = Table()
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if args.smoke:
        console.print("A smoke run shows that all parts work; its figures mean nothing.")
    plot(out / "training.png", trained, log, result)
    written = kr.comparison.markdown_table(headings, rows, left=1)
    lines = [f"# {log.name}: {BASELINE} against {LAUNCH}", "", *written]
    lines += ["", *(f"- {name}: {widths(t.model)}" for name, t in trained.items())]
    lines += [f"- latency: ONNX Runtime, in turns, `{json.dumps(latencies.to_json())}`"]
    lines += [f"- arguments: `{json.dumps(vars(args))}`; backend {keras.backend.backend()}"]
    lines += [f"- protocol: `{json.dumps(log.protocol.to_json())}`"]
    lines += ["", "![AUC over epochs, and test HIT@3](training.png)", ""]
    kr.comparison.write_files(out, {"report.md": "\n".join(lines), "result.json": result})


def table_rows(
    result: dict, trained: dict[str, Trained], latencies: Any, log: logs.Log
) -> list[list[str]]:
    """One row per figure: its name, both models, a random ranking, the best possible."""
    text = kr.metrics.as_text
    task, hit, models = log.tasks[0].name, log.protocol.hit.name, trained.values()
    best = result.get("hit3_bayes")
    rows = [
        [
            f"HIT@3 {task}",
            *(text(t.test[f"{task}_{hit}"]) for t in models),
            text(result["hit3_random"]),
        ]
        + ["" if best is None else text(best)]
    ]
    for name in (t.name for t in log.tasks):
        bayes = result.get(f"auc_{name}_bayes")
        aucs = [text(t.test[f"{name}_auc"]) for t in models]
        rows.append([f"AUC {name}", *aucs, text(0.5), "" if bayes is None else text(bayes)])
        rows.append([f"NE {name}", *(text(t.test[f"{name}_ne"]) for t in models), "", ""])
    rows.append(["parameters", *(f"{t.model.count_params():,}" for t in models), "", ""])
    rows.append(["seconds per epoch", *(f"{t.seconds_per_epoch:.1f}" for t in models), "", ""])
    ratios = [
        f"{latencies.ratio(name, BASELINE):.2f}× ({t.p50:.2f} ms)" for name, t in trained.items()
    ]
    rows.append(["serving p50, 100 rows", *ratios, "", ""])
    return rows


def plot(path: Path, trained: dict[str, Trained], log: logs.Log, result: dict) -> None:
    """Draws validation AUC over epochs, and HIT@3 on the test rows between chance and the best."""
    task, hit = log.tasks[0].name, log.protocol.hit.name
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for name, t in trained.items():
        values = t.history[f"val_{task}_auc"]
        left.plot(range(1, len(values) + 1), values, marker="o", label=name)
    left.set(xlabel="epoch", ylabel=f"AUC of {task}, validation rows")
    left.xaxis.get_major_locator().set_params(integer=True)
    left.legend(frameon=False)
    bars = right.bar(
        list(trained), [t.test[f"{task}_{hit}"] for t in trained.values()], color=["C0", "C1"]
    )
    right.bar_label(bars, fmt="%.3f")
    for name, label in (("hit3_random", "random ranking"), ("hit3_bayes", "best possible")):
        if name in result:
            right.axhline(result[name], color="0.4", linestyle=":")
            right.text(1.45, result[name], label, ha="right", va="bottom", color="0.4")
    right.set(ylabel=f"HIT@3 of {task}, test sessions")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
