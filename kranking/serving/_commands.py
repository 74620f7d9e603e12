"""Subcommands of `python -m kranking.export` that serve, score or measure a bundle."""

import argparse
from pathlib import Path
from typing import Any

from kranking._files import write_json
from kranking.export.internal import IDS
from kranking.serving._measure_serving import serving_latency
from kranking.serving._score_parquet import score_parquet
from kranking.serving._write_tf_serving import write_tf_serving
from kranking.serving._write_triton import BACKENDS, write_triton


def add_commands(commands: Any) -> None:
    """Adds the subcommands; each sets `run` to a function from the parsed arguments to an exit code.

    Args:
        commands: The return value of `argparse.ArgumentParser.add_subparsers`.
    """
    _add_score(commands)
    _add_latency(commands)
    _add_triton(commands)
    _add_tf_serving(commands)


def _add_score(commands: Any) -> None:
    text = "writes the probabilities for a Parquet log in parts; resumes an interrupted run"
    parser = commands.add_parser("score", help=text, description=text)
    parser.set_defaults(run=_score)
    parser.add_argument("bundle")
    parser.add_argument("log", help="a Parquet file or a folder of them")
    parser.add_argument("out", help="output folder, with one Parquet file per part")
    parser.add_argument("--block-rows", type=int, default=131_072, help="rows per part")
    parser.add_argument(
        "--keep", nargs="+", default=[], metavar="COL", help="columns to copy from the log"
    )
    parser.add_argument("--threads", type=int, help="number of threads of ONNX Runtime")


def _score(args: argparse.Namespace) -> int:
    scores = score_parquet(
        args.bundle,
        args.log,
        args.out,
        keep=args.keep,
        block_rows=args.block_rows,
        threads=args.threads,
    )
    print(scores)
    return 0


def _add_latency(commands: Any) -> None:
    text = "measures the latency of a bundle; writes result.json, latency.json and latency.png"
    parser = commands.add_parser("latency", help=text, description=text)
    parser.set_defaults(run=_latency)
    parser.add_argument("bundle")
    parser.add_argument("--baseline", help="another bundle to measure for comparison")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 100, 1000], metavar="ROWS")
    parser.add_argument("--candidates", type=int, default=500, help="candidates per request")
    parser.add_argument("--threads", type=int, default=1, help="number of threads of both runtimes")
    parser.add_argument("--rounds", type=int, default=100, help="measured calls per batch size")
    parser.add_argument("--seed", type=int, default=0, help="seed of the requests")
    parser.add_argument("--out", type=Path, default=Path("runs/latency"), help="output folder")


def _latency(args: argparse.Namespace) -> int:
    measured = serving_latency(
        args.bundle,
        args.baseline,
        batches=args.batches,
        candidates=args.candidates,
        threads=args.threads,
        rounds=args.rounds,
        seed=args.seed,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "latency.json", measured.to_json())
    write_json(args.out / "result.json", measured.figures())
    measured.plot(args.out / "latency.png")
    print(measured.to_markdown())
    return 0


def _add_triton(commands: Any) -> None:
    text = "adds a bundle to a Triton model repository as a new version"
    parser = commands.add_parser("triton", help=text, description=text)
    parser.set_defaults(run=_triton)
    parser.add_argument("bundle")
    parser.add_argument("repository", help="folder passed to Triton as --model-repository")
    _add_version(parser)
    parser.add_argument("--backend", default=BACKENDS[0], choices=BACKENDS)
    parser.add_argument(
        "--signature", default=IDS, help="serve, rank or user_tower for raw columns"
    )


def _triton(args: argparse.Namespace) -> int:
    folder = write_triton(
        args.bundle,
        args.repository,
        name=args.name,
        version=args.version,
        backend=args.backend,
        signature=args.signature,
    )
    print(folder)
    return 0


def _add_tf_serving(commands: Any) -> None:
    text = "adds the SavedModel of a bundle to a TensorFlow Serving folder as a new version"
    parser = commands.add_parser("tf-serving", help=text, description=text)
    parser.set_defaults(run=_tf_serving)
    parser.add_argument("bundle")
    parser.add_argument("directory", help="folder of all models")
    _add_version(parser)
    parser.add_argument("--served-from", help="path of the directory on the server")


def _tf_serving(args: argparse.Namespace) -> int:
    folder = write_tf_serving(
        args.bundle,
        args.directory,
        name=args.name,
        version=args.version,
        served_from=args.served_from,
    )
    print(folder)
    return 0


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="ranker", help="name of the model in requests")
    parser.add_argument("--version", type=int, help="version number; default: the next one")
