"""Subcommands of `python -m kranking.export` that make bundles and check them."""

import argparse
from typing import Any

from kranking.export._export_model import FORMATS, export_model
from kranking.export.checks._verify_bundle import verify_bundle
from kranking.export.derived._compress_bundle import compress_bundle
from kranking.export.derived._split_tables import split_tables
from kranking.export.rewrites._small_weights import WEIGHTS

_MODULES: dict[str, Any] = {"nargs": "*", "default": [], "help": "modules with custom layers"}


def add_commands(commands: Any) -> None:
    """Adds the subcommands; `run` of the parsed arguments is a function of them that returns the exit code.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    _add_export(commands)
    _add_verify(commands)
    _add_compress(commands)
    _add_split(commands)


def _add_export(commands: Any) -> None:
    text = "writes a checked bundle from a saved .keras file"
    parser = commands.add_parser("export", help=text, description=text)
    parser.set_defaults(run=_export)
    parser.add_argument("model", help="a RankingModel saved as .keras, on any backend")
    parser.add_argument("directory", help="the bundle: new, empty or an earlier bundle")
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), metavar="FORMAT")
    parser.add_argument(
        "--signatures",
        nargs="*",
        metavar="SIGNATURE",
        help="on a log's columns: serve, rank, user_tower; default: all that the features allow",
    )
    parser.add_argument("--opset", type=int, default=18, help="ONNX operator set, 17 or 18")
    parser.add_argument("--check-rows", type=int, default=64, help="random rows of the comparison")
    parser.add_argument("--check-seed", type=int, default=0, help="seed of those rows")
    parser.add_argument("--modules", **_MODULES)
    parser.add_argument("--seed", type=int, help="seed of the training, for the manifest")


def _export(args: argparse.Namespace) -> int:
    report = export_model(
        args.model,
        args.directory,
        formats=args.formats,
        signatures=args.signatures,
        opset=args.opset,
        num_check_rows=args.check_rows,
        check_seed=args.check_seed,
        modules=args.modules,
        seed=args.seed,
    )
    print(report)
    return 0


def _add_verify(commands: Any) -> None:
    text = "checks a bundle and prints a table; exit code 1 if a check fails"
    parser = commands.add_parser("verify", help=text, description=text)
    parser.set_defaults(run=_verify)
    parser.add_argument("directory", help="the bundle")
    parser.add_argument("--rows", metavar="LOG.parquet", help="a log to compare on as well")
    parser.add_argument("--num-rows", type=int, default=1000, help="how many of its first rows")
    parser.add_argument("--check-rows", type=int, default=64, help="random rows of the comparison")
    parser.add_argument("--check-seed", type=int, default=0, help="seed of those rows")
    parser.add_argument("--modules", **_MODULES)


def _verify(args: argparse.Namespace) -> int:
    verification = verify_bundle(
        args.directory,
        log=args.rows,
        num_log_rows=args.num_rows,
        num_check_rows=args.check_rows,
        check_seed=args.check_seed,
        modules=args.modules,
    )
    print(verification)
    return 0 if verification.passed else 1


def _add_compress(commands: Any) -> None:
    text = "writes a bundle with weights in 16 or 8 bits, if quality on a labelled log allows it"
    parser = commands.add_parser("compress", help=text, description=text)
    parser.set_defaults(run=_compress)
    parser.add_argument("bundle", help="the source, which is not changed")
    parser.add_argument("directory", help="the smaller bundle")
    parser.add_argument("log", help="labelled rows in Parquet that the model was not trained on")
    parser.add_argument("--weights", choices=WEIGHTS, default="int8")
    parser.add_argument("--max-auc-loss", type=float, default=1e-3, help="of each task")
    parser.add_argument(
        "--max-ne-rise", type=float, default=1e-3, help="of each task; 0.001: 0.1 %%"
    )
    parser.add_argument(
        "--num-rows", type=int, default=100_000, help="how many of the log's first rows"
    )
    parser.add_argument("--sample-weight", metavar="COL", help="column with the weights of rows")
    parser.add_argument("--modules", **_MODULES)


def _compress(args: argparse.Namespace) -> int:
    compression = compress_bundle(
        args.bundle,
        args.directory,
        args.log,
        args.weights,
        max_auc_loss=args.max_auc_loss,
        max_ne_rise=args.max_ne_rise,
        num_rows=args.num_rows,
        sample_weight=args.sample_weight,
        modules=args.modules,
    )
    print(compression)
    return 0


def _add_split(commands: Any) -> None:
    text = "writes a bundle with its embedding tables beside the graphs, for a client to look up"
    parser = commands.add_parser("split", help=text, description=text)
    parser.set_defaults(run=_split)
    parser.add_argument("bundle", help="the source, which is not changed")
    parser.add_argument("directory", help="the bundle with its tables beside the graphs")
    parser.add_argument(
        "--min-bytes", type=int, default=2**20, help="a smaller table stays in the graph"
    )
    parser.add_argument("--modules", **_MODULES)


def _split(args: argparse.Namespace) -> int:
    print(split_tables(args.bundle, args.directory, min_bytes=args.min_bytes, modules=args.modules))
    return 0
