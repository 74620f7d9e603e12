"""Does every exported file of every architecture predict as the model does?

Command:  KERAS_BACKEND=tensorflow python recipes/benchmarks/parity.py --rows-file docs/results/parity.json
Cost:     half a minute per architecture on 2 cores; `--smoke` two of them.
Expected: the largest difference of a probability below 1e-5 in each of nine artefacts, the model's own
          file among them; where not, the reason and exit code 1, and the next run tries again.

Each architecture of `kranking.architectures.names()`, as small as its hyperparameters' ranges allow, is
trained for one epoch on the synthetic home feed, exported as SavedModel and ONNX with all signatures, and
checked by `verify_bundle`: random rows, rows at the edges, and the first 200 rows of the log's test part,
raw columns included. An artefact is a format and a signature; users' embeddings are compared like
probabilities. Finished architectures are rows in `--rows-file`, which a rerun skips.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from serving import in_a_process

import kranking as kr

ROWS = 20_000


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = kr.architectures.names()
    parser.add_argument("--smoke", action="store_true", help="two architectures: does it run?")
    parser.add_argument("--architectures", nargs="+", default=names, choices=names)
    parser.add_argument("--rows-file", type=Path, default=Path("runs/parity.json"))
    args = parser.parse_args(arguments)
    if args.smoke:
        args.architectures = ["dcn_v2", "transformer"]
    kept = json.loads(args.rows_file.read_text()) if args.rows_file.exists() else []
    args.rows_file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        kr.data.write_homefeed(Path(folder) / "log", num_rows=ROWS, seed=0)
        for name in args.architectures:
            if all(row["architecture"] != name or "refused" in row for row in kept):
                kept = [row for row in kept if row["architecture"] != name]
                row = in_a_process(reached, name, Path(folder))
                kept.append({"architecture": name, **row})
                kr.comparison.write_files(args.rows_file.parent, {args.rows_file.name: kept})
                print(json.dumps(kept[-1]), flush=True)
    print(table(kept))
    if any("refused" in row for row in kept):
        raise SystemExit("not every architecture answers as its model does, see above")


def reached(name: str, folder: Path) -> dict[str, Any]:
    """Trains and exports an architecture; returns the largest difference per artefact, or the reason."""
    import keras

    keras.utils.set_random_seed(0)
    features, tasks = kr.data.homefeed_declarations()
    features = kr.features.fit(features, folder / "log" / "train")
    architecture = kr.architectures.get(name)
    model = architecture.build(features, tasks, **architecture.smallest)
    model.compile(keras.optimizers.Adam(1e-3), weighted_metrics=None)
    rows = kr.data.read_parquet(folder / "log" / "train", model, 512, shuffle=True, seed=0)
    model.fit(rows, verbose=0)
    try:
        kr.export.export_model(model, folder / name)
    except (ValueError, kr.export.ExportError) as error:
        return {"refused": str(error)}
    verification = kr.export.verify_bundle(
        folder / name, log=folder / "log" / "test", num_log_rows=200
    )
    if not verification.passed:
        return {"refused": str(verification)}
    found = {f.of: f.value for f in verification.findings if f.check == "parity"}
    return {"reached": {artefact: float(f"{value:.2g}") for artefact, value in found.items()}}


def table(rows: list[dict[str, Any]]) -> str:
    """Returns Markdown: a line per architecture, a column per artefact."""
    names = list(dict.fromkeys(a for row in rows for a in row.get("reached", ())))
    cells = []
    for row in sorted(rows, key=lambda row: row["architecture"]):
        cells.append([f"`{row['architecture']}`"])
        cells[-1] += [
            f"{row['reached'][a]:.0e}" if a in row.get("reached", ()) else "–" for a in names
        ]
    lines = kr.comparison.markdown_table(["architecture", *names], cells, left=1)
    refused = [f"- `{row['architecture']}`: {row['refused']}" for row in rows if "refused" in row]
    return "\n".join([*lines, "", *refused])


if __name__ == "__main__":
    main()
