"""Subcommands of `python -m kranking.export` that use a bundle."""

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
    """Adds the subcommands; `run` of the parsed arguments is a function of them that returns the exit code.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    _add_score(commands)
    _add_latency(commands)
    _add_triton(commands)
    _add_tf_serving(commands)


def _add_score(commands: Any) -> None:
    text = "writes the probabilities of a Parquet log, block by block; resumes where it was stopped"
    parser = commands.add_parser("score", help=text, description=text)
    parser.set_defaults(run=_score)
    parser.add_argument("bundle")
    parser.add_argument("log", help="a Parquet file or a folder of them")
    parser.add_argument("out", help="becomes a folder of parts, a Parquet file for each block")
    parser.add_argument("--block-rows", type=int, default=131_072, help="rows of a part")
    parser.add_argument("--keep", nargs="+", default=[], metavar="COL", help="columns to keep")
    parser.add_argument("--threads", type=int, help="threads of ONNX Runtime")


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
    text = "measures how fast a bundle answers; writes result.json, latency.json and latency.png"
    parser = commands.add_parser("latency", help=text, description=text)
    parser.set_defaults(run=_latency)
    parser.add_argument("bundle")
    parser.add_argument("--baseline", help="another bundle, whose files take part")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 100, 1000], metavar="ROWS")
    parser.add_argument("--candidates", type=int, default=500, help="candidates of a request")
    parser.add_argument("--threads", type=int, default=1, help="of both runtimes")
    parser.add_argument("--rounds", type=int, default=100, help="measured calls of each size")
    parser.add_argument("--seed", type=int, default=0, help="seed of the requests")
    parser.add_argument("--out", type=Path, default=Path("runs/latency"), help="folder of results")


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
    text = "puts a bundle into a Triton model repository as a new version"
    parser = commands.add_parser("triton", help=text, description=text)
    parser.set_defaults(run=_triton)
    parser.add_argument("bundle")
    parser.add_argument("repository", help="the folder that Triton's --model-repository names")
    _add_version(parser)
    parser.add_argument("--backend", default=BACKENDS[0], choices=BACKENDS)
    parser.add_argument(
        "--signature", default=IDS, help="serve, rank or user_tower: on a log's columns"
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
    text = "puts a bundle's SavedModel where TensorFlow Serving finds it, as a new version"
    parser = commands.add_parser("tf-serving", help=text, description=text)
    parser.set_defaults(run=_tf_serving)
    parser.add_argument("bundle")
    parser.add_argument("directory", help="the folder of all models")
    _add_version(parser)
    parser.add_argument("--served-from", help="the directory's path as the server sees it")


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
    parser.add_argument("--name", default="ranker", help="the model's name in requests")
    parser.add_argument("--version", type=int, help="default: the next one")
