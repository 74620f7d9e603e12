"""Cost of serving: ONNX Runtime against the SavedModel and Keras's own ONNX file, and `rank` of 500.

Command:  python recipes/benchmarks/serving.py --rows-file docs/results/serving.json
Cost:     two minutes per model and number of threads on 2 cores; `--smoke` under two minutes in all.
Expected: the ONNX file several times as fast as the SavedModel for one row, less for many, where the
          matrix products are what takes time; `rank` near the bound of the model's own work.

Three models, perturbed instead of trained, on the synthetic home feed's columns: Pinterest's baseline and
launch candidate, and one with a large user tower, a transformer over a long history. Each is exported once
and measured in a process of its own, because TensorFlow sets its number of threads once.
"""

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import kranking as kr

MODELS = ("pinterest_baseline", "pinterest_launch", "user_heavy")


def main() -> None:
    args = parse()
    kept = json.loads(args.rows_file.read_text()) if args.rows_file.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.models:
            for threads in args.threads:
                key = {
                    "model": name,
                    "threads": threads,
                    "scale": args.scale,
                    "rounds": args.rounds,
                }
                if any(key.items() <= row.items() for row in kept):
                    continue
                bundle = Path(folder) / name
                if not bundle.exists():
                    in_a_process(export, name, bundle, args.scale)
                row = in_a_process(measure, bundle, threads, args.rounds)
                kept.append({**key, **row})
                kr.comparison.write_files(args.rows_file.parent, {args.rows_file.name: kept})
    print(table(kept))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="small and few: does it run?")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=100, help="measured calls of each size")
    parser.add_argument("--scale", type=float, default=1.0, help="times the published widths")
    parser.add_argument("--rows-file", type=Path, default=Path("runs/serving.json"))
    args = parser.parse_args()
    if args.smoke:
        args.rounds, args.scale, args.threads = 5, 0.05, [1]
    return args


def in_a_process(function: Callable, *given: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, given)


def measure(bundle: Path, threads: int, rounds: int) -> dict[str, Any]:
    calls = {"keras onnx": session(Path(f"{bundle}.onnx"), threads)}
    measured = kr.serving.serving_latency(
        bundle, threads=threads, rounds=rounds, candidates=500, calls=calls
    )
    print(f"\n{bundle.name}, threads: {threads}\n\n{measured.to_markdown()}", flush=True)
    found = measured.to_json()
    for batch, latencies in measured.by_batch.items():
        found["figures"][f"speedup_over_keras_onnx_{batch}"] = latencies.ratio("keras onnx", "onnx")
    return found


def export(name: str, bundle: Path, scale: float) -> None:
    """Writes a bundle, and Keras's own ONNX file beside it."""
    model = kr.models.perturbed(build(name, bundle.parent, scale))
    kr.export.export_model(model, bundle)
    model.export(f"{bundle}.onnx", format="onnx", verbose=False)


def build(name: str, folder: Path, scale: float, num_rows: int = 20_000) -> kr.RankingModel:
    log = folder / "log"
    if not log.exists():
        kr.data.write_homefeed(log, num_rows=num_rows, seed=0)
    features, tasks = kr.data.homefeed_declarations()
    if name == "user_heavy":
        features = [long_history(f, scale) for f in features]
        features = kr.features.fit(features, log / "train")
        return kr.RankingModel(features, [kr.layers.MLP([128, 64])], tasks)
    features = kr.features.fit(features, log / "train")
    return kr.architectures.get(name).build(features, tasks, scale=scale)


def long_history(feature: kr.features.Feature, scale: float) -> kr.features.Feature:
    """Returns the history 100 places and a transformer of two layers; other declarations as they are."""
    if not isinstance(feature, kr.features.Sequence):
        return feature
    encoder = kr.features.TransAct(
        num_layers=2, num_heads=2, feedforward_dim=max(8, int(512 * scale))
    )
    return replace(feature, max_length=100, encoder=encoder)


def session(path: Path, threads: int) -> Callable[[dict[str, Any]], Any]:
    """Returns a call of an ONNX file that takes the model's own inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    opened = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda rows: opened.run(None, rows)


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the figures in Markdown, a line for each and a column for each model and number of threads.

    The floor of all is that of the best rate that any of them measured, for a machine's mood changes.
    """
    best = max(row["gflops"] for row in rows)
    rows = [{**row, "figures": _with_floor(row, best / row["gflops"])} for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    heads = [f"{row['model']}, {row['threads']} thread(s)" for row in rows]
    lines = [
        [
            f"`{name}`",
            *(f"{row['figures'][name]:.2f}" if name in row["figures"] else "–" for row in rows),
        ]
        for name in names
    ]
    return "\n".join(kr.comparison.markdown_table(["figure", *heads], lines, left=1))


def _with_floor(row: dict[str, Any], factor: float) -> dict[str, float]:
    figures = row["figures"].items()
    return {name: x * factor if name.startswith("over_floor") else x for name, x in figures}


if __name__ == "__main__":
    main()
