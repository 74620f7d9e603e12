"""Which learning rate, and how much L2 on embeddings, suit a log of so many rows?

Paper:    none.
Command:  KERAS_BACKEND=jax python recipes/first_settings.py --rows 100000 1000000 --out runs/first_settings
Cost:     20 seconds per training of a million rows on one core; the same command with the same `--out`
          continues a run that was stopped.
Expected: a table of the normalized entropy of saves on validation rows, per rows, rate and L2: see
          docs/results/first-settings.md.

The model is DCN-V2 with widths of 16 for ids and 8 for other columns, on the synthetic home feed with one
user and one pin per fifty rows, as the tables of a real log grow with it. Figures are of the best epoch.
"""

import dataclasses
import json
from pathlib import Path

import keras
import training

import kranking as kr
from kranking.comparison import write_files
from kranking.features import Categorical, Sequence

RATES = (3e-4, 1e-3, 3e-3, 1e-2)
L2 = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
BATCH = 2048


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "first_settings")
    kept = out / "rows.jsonl"
    done = (
        {key(row): row for row in map(json.loads, kept.read_text().splitlines())}
        if kept.exists()
        else {}
    )
    for rows in args.rows:
        folder = out / f"log-{rows}"
        size = max(100, rows // 50)
        kr.data.write_homefeed(folder, num_rows=rows, seed=args.seed, num_users=size, num_pins=size)
        fitted = kr.features.fit(kr.data.homefeed_declarations()[0], folder / "train")
        for rate in args.rates:
            for l2 in args.l2:
                row = {"rows": rows, "rate": rate, "l2": l2}
                if key(row) not in done:
                    done[key(row)] = row | trained(folder, fitted, rate, l2, args)
                    with kept.open("a") as file:
                        file.write(json.dumps(done[key(row)]) + "\n")
                print(done[key(row)], flush=True)
    print(table(list(done.values())))
    result = {f"{r['rows']}/{r['rate']}/{r['l2']}": r["ne"] for r in done.values()}
    write_files(out, {"result.json": result})
    return result


def parse(arguments: list[str] | None):
    parser = training.parser(__doc__, "first_settings")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--l2", type=float, nargs="+", default=L2)
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args(arguments)
    if args.smoke:
        args.rows, args.rates, args.l2, args.epochs = [3_000], [1e-3], [0.0, 1e-6], 1
    return args


def key(row: dict) -> tuple:
    return row["rows"], row["rate"], row["l2"]


def declared(fitted: list, l2: float) -> list:
    """Returns the declarations with a width for each table, and L2 on those of ids."""
    features = []
    for feature in fitted:
        if isinstance(feature, Categorical):
            is_id = feature.name in ("user_id", "pin_id")
            penalty = keras.regularizers.L2(l2) if is_id and l2 else None
            width = 16 if is_id else 8
            feature = dataclasses.replace(feature, embedding_dim=width, regularizer=penalty)
        elif isinstance(feature, Sequence):
            feature = dataclasses.replace(feature, encoder=kr.features.Pooling())
        features.append(feature)
    return features


def trained(folder: Path, fitted: list, rate: float, l2: float, args) -> dict[str, float]:
    """Returns the best validation entropy and AUC of saves, and the epoch that reached them."""
    keras.utils.set_random_seed(args.seed)
    _, tasks = kr.data.homefeed_declarations()
    model = kr.architectures.dcn_v2(declared(fitted, l2), tasks)
    model.compile(keras.optimizers.Adam(rate), weighted_metrics=None)
    rows = kr.data.read_parquet(folder / "train", model, BATCH, shuffle=True, seed=args.seed)
    valid = kr.data.read_parquet(folder / "valid", model, 8192)
    evaluation = kr.training.RankingEvaluation(valid, metrics=["auc", "ne"])
    seconds = training.EpochSeconds()
    stop = keras.callbacks.EarlyStopping("val_save_ne", mode="min", patience=1)
    history = model.fit(
        rows, epochs=args.epochs, callbacks=[seconds, evaluation, stop], verbose=0
    ).history
    ne, epoch = min((ne, i + 1) for i, ne in enumerate(history["val_save_ne"]))
    auc = history["val_save_auc"][epoch - 1]
    return {"ne": ne, "auc": auc, "epoch": epoch, "seconds": round(seconds.mean, 1)}


def table(found: list[dict]) -> str:
    """Returns the entropies in Markdown, a line per rows and rate."""
    strengths = sorted({row["l2"] for row in found})
    lines = [
        "| rows | rate | " + " | ".join(f"L2 {l2:g}" for l2 in strengths) + " |",
        "|---" * (2 + len(strengths)) + "|",
    ]
    cells = {key(row): f"{row['ne']:.4f} ({row['epoch']})" for row in found}
    for rows, rate in sorted({key(row)[:2] for row in found}):
        line = [f"{rows:,}", f"{rate:g}", *(cells.get((rows, rate, l2), "") for l2 in strengths)]
        lines.append("| " + " | ".join(line) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
