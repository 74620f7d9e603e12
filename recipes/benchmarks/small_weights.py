"""Gain of small weights: bytes and latency of three models in float16 and int8.

Command:  python recipes/benchmarks/small_weights.py --rows-file docs/results/small_weights.json
Cost:     four minutes on 2 cores; `--smoke` under two.
Expected: half the bytes, and a quarter to two fifths; int8 faster than float32 where products are large,
          at published widths, and level where they are small; faster than the SavedModel throughout.

`speedup_N` is over the float32 ONNX file, `over_saved_model_N` over the SavedModel: N rows a call, all in
turns on one thread.

The models of `serving.py`, as they are there: quality is measured by `python -m kranking.export compress`,
on a trained one. Rows in `--rows-file` are not measured again.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from serving import MODELS, build, in_a_process

import kranking as kr

WEIGHTS = ("float16", "int8")
OTHERS = {"speedup": "baseline onnx", "over_saved_model": "baseline saved_model"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="small and few: does it run?")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--weights", nargs="+", default=WEIGHTS, choices=WEIGHTS)
    parser.add_argument("--rounds", type=int, default=50, help="measured calls of each size")
    parser.add_argument("--scale", type=float, default=1.0, help="times the published widths")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the synthetic log")
    parser.add_argument("--rows-file", type=Path, default=Path("runs/small_weights.json"))
    args = parser.parse_args()
    if args.smoke:
        args.rounds, args.scale, args.rows = 5, 0.25, 2_000
    rows = json.loads(args.rows_file.read_text()) if args.rows_file.exists() else []
    done = {(row["model"], row["weights"]) for row in rows}
    args.rows_file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in args.models:
            wanted = [weights for weights in args.weights if (name, weights) not in done]
            if wanted:
                in_a_process(export, name, Path(folder), args.scale, args.rows)
            for weights in wanted:
                given = (name, Path(folder), weights)
                sizes = in_a_process(compress, *given)
                rows.append({**sizes, **in_a_process(measure, *given, args.rounds)})
                kr.comparison.write_files(args.rows_file.parent, {args.rows_file.name: rows})
                print(json.dumps(rows[-1]), flush=True)
    print(table(rows))


def export(name: str, folder: Path, scale: float, num_rows: int) -> None:
    model = kr.models.perturbed(build(name, folder, scale, num_rows))
    kr.export.export_model(model, folder / name)


def compress(name: str, folder: Path, weights: str) -> dict[str, Any]:
    log = folder / "log" / "test"
    # The labels say nothing about weights that were drawn: the gate is left open.
    made = kr.export.compress_bundle(
        folder / name, folder / f"{name}_{weights}", log, weights, max_auc_loss=1, max_ne_rise=1
    )
    before, after = made.files["model.onnx"]
    return {"model": name, "weights": weights, "bytes": after, "share": after / before}


def measure(name: str, folder: Path, weights: str, rounds: int) -> dict[str, float]:
    """Times the small file beside both of the bundle that it comes from, in a process of its own."""
    small, whole = folder / f"{name}_{weights}", folder / name
    measured = kr.serving.serving_latency(
        small, whole, batches=[1, 10, 100, 1000], threads=1, rounds=rounds
    )
    return {
        f"{figure}_{batch}": round(latencies.ratio(other, "onnx"), 3)
        for figure, other in OTHERS.items()
        for batch, latencies in measured.by_batch.items()
    }


def table(rows: list[dict[str, Any]]) -> str:
    gains = [key for key in rows[0] if key.startswith(tuple(OTHERS))]
    headings = ["model", "weights", "MB", "share", *(f"`{g}`" for g in gains)]
    lines = []
    for row in rows:
        cells = [row["model"], row["weights"], f"{row['bytes'] / 1e6:.1f}", f"{row['share']:.2f}"]
        lines.append([*cells, *(f"{row[g]:.2f}" for g in gains)])
    return "\n".join(kr.comparison.markdown_table(headings, lines, left=2))


if __name__ == "__main__":
    main()
