"""A ranking model on a log of your own: Parquet files, and declarations in one short Python file.

Paper:    none; any architecture of `kranking.architectures`.
Command:  python recipes/own_log.py                                          a small generated log
          python recipes/own_log.py --data FOLDER --declarations FILE.py     yours
          python recipes/own_log.py --data FOLDER --infer                    a draft of FILE.py
Cost:     half a minute for the generated log.
Expected: `auc_like` near 0.78 on the generated log; a random ranking has 0.5.

FOLDER holds `train`, `valid` and `test`, each a folder of Parquet files or one file (`train.parquet`).
FILE.py defines FEATURES, TASKS and SESSION: see `own_declarations.py`, which is the default.
"""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import training

import kranking as kr


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = training.parser(__doc__, "own_log")
    parser.add_argument("--declarations", default=Path(__file__).with_name("own_declarations.py"))
    parser.add_argument(
        "--architecture", default="pinterest_baseline", choices=kr.architectures.names()
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--infer", action="store_true", help="only print declarations for --data")
    args = parser.parse_args(arguments)
    if args.infer:
        print(*kr.features.infer(split(Path(args.data), "train")), sep=",\n")
        return {}

    out = training.run_folder(args, "own_log")
    folder = Path(
        args.data or write_example(out / "log", 2_000 if args.smoke else 40_000, args.seed)
    )
    train, valid, test = (split(folder, name) for name in ("train", "valid", "test"))
    own = load(args.declarations)
    features = kr.features.fit(own.FEATURES, train)
    keras.utils.set_random_seed(args.seed)
    model = kr.architectures.get(args.architecture).build(features, own.TASKS)
    model.compile(keras.optimizers.Adam(1e-3))
    rows = kr.data.read_parquet(train, model, batch_size=1024, shuffle=True, seed=args.seed)
    evaluation = kr.training.RankingEvaluation(kr.data.read_parquet(valid, model), own.SESSION)
    best = keras.callbacks.EarlyStopping(
        f"val_{own.TASKS[0].name}_auc", mode="max", patience=1, restore_best_weights=True
    )
    model.fit(rows, epochs=1 if args.smoke else args.epochs, callbacks=[evaluation, best])

    scores = kr.training.RankingEvaluation(
        kr.data.read_parquet(test, model), own.SESSION, ["auc", "ne", "hit@3"], prefix=""
    ).evaluate(model)
    model.save(out / "model.keras")
    report = kr.export.export_model(model, out / "bundle", seed=args.seed)
    print(report)
    result = {
        f"{metric.replace('@', '')}_{task.name}": scores[f"{task.name}_{metric}"]
        for task in own.TASKS
        for metric in ("auc", "ne", "hit@3")
    }
    result |= {"parity_onnx": report.reached["onnx"]}
    result |= {"parity_saved_model": report.reached["saved_model"]}
    rows_of_table = [[name, f"{value:.4g}"] for name, value in result.items()]
    lines = [
        f"# {args.architecture} on {folder.name}",
        "",
        *kr.comparison.markdown_table(["", "test"], rows_of_table, left=1),
    ]
    report_text = "\n".join([*lines, ""])
    kr.comparison.write_files(out, {"report.md": report_text, "result.json": result})
    print(*lines, f"\nRun folder: {out}", sep="\n")
    return result


def split(folder: Path, name: str) -> Path:
    """Finds a part of the log: a folder, or one file."""
    return folder / name if (folder / name).exists() else folder / f"{name}.parquet"


def load(path: str | Path):
    """Runs the file of declarations and gives its names."""
    spec = importlib.util.spec_from_file_location("declarations", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_example(folder: Path, num_rows: int, seed: int) -> Path:
    """Writes a small log, with the columns that `own_declarations.py` names, in the order of time."""
    rng = np.random.default_rng(seed)
    users, videos = 300, 200
    taste, style = rng.normal(size=(users, 4)), rng.normal(size=(videos, 4))
    cover = np.concatenate([style, rng.normal(size=(videos, 4))], 1).astype("float32")
    watched = [rng.integers(videos, size=rng.integers(0, 12)).tolist() for _ in range(users)]
    tags = [",".join(rng.choice(["cats", "food", "news", "sport"], 2)) for _ in range(videos)]
    seconds = rng.lognormal(3, 1, videos)
    request = np.arange(num_rows) // 10
    user = rng.integers(users, size=request[-1] + 1)[request]
    video = rng.integers(videos, size=num_rows)
    z = (taste[user] * style[video]).sum(1)
    table = pa.table(
        {
            "request_id": request,
            "user": pa.array([f"u{i}" for i in user]),
            "country": np.array(["DE", "FR", "US"])[user % 3],
            "age": pa.array(18.0 + user % 50, mask=user % 7 == 0),
            "watched": pa.array([watched[i] for i in user], pa.list_(pa.int64())),
            "video": video,
            "tags": np.array(tags)[video],
            "seconds": seconds[video],
            "cover": pa.array(list(cover[video])),
            "like": rng.random(num_rows) < 1 / (1 + np.exp(2 - z)),
            "watched_to_the_end": rng.random(num_rows) < 1 / (1 + np.exp(1 - 0.5 * z)),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    starts = [0, int(0.8 * num_rows) // 10 * 10, int(0.9 * num_rows) // 10 * 10, num_rows]
    for name, begin, end in zip(("train", "valid", "test"), starts, starts[1:]):
        pq.write_table(table.slice(begin, end - begin), folder / f"{name}.parquet")
    return folder


if __name__ == "__main__":
    main()
