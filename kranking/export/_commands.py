"""Subcommands of `python -m kranking.export` that create and verify bundles."""

import argparse
from typing import Any

from kranking.export._export_model import FORMATS, export_model
from kranking.export.checks._verify_bundle import verify_bundle
from kranking.export.derived._compress_bundle import compress_bundle
from kranking.export.derived._split_tables import split_tables
from kranking.export.rewrites._small_weights import WEIGHTS

_MODULES: dict[str, Any] = {"nargs": "*", "default": [], "help": "modules with custom layers"}


def add_commands(commands: Any) -> None:
    """Adds the subcommands; each sets `run` to a function from the parsed arguments to an exit code.

    Args:
        commands: The return value of `argparse.ArgumentParser.add_subparsers`.
    """
    _add_export(commands)
    _add_verify(commands)
    _add_compress(commands)
    _add_split(commands)


def _add_export(commands: Any) -> None:
    text = "exports a saved .keras file as a verified bundle"
    parser = commands.add_parser("export", help=text, description=text)
    parser.set_defaults(run=_export)
    parser.add_argument("model", help="a RankingModel saved as .keras, on any backend")
    parser.add_argument("directory", help="folder of the bundle: new, empty or an earlier bundle")
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), metavar="FORMAT")
    parser.add_argument(
        "--signatures",
        nargs="*",
        metavar="SIGNATURE",
        help="signatures on raw columns: serve, rank, user_tower; default: all that the features allow",
    )
    parser.add_argument("--opset", type=int, default=18, help="ONNX operator set, 17 or 18")
    parser.add_argument("--check-rows", type=int, default=64, help="random rows of the comparison")
    parser.add_argument("--check-seed", type=int, default=0, help="seed of those rows")
    parser.add_argument("--modules", **_MODULES)
    parser.add_argument("--seed", type=int, help="training seed to record in the manifest")


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
    text = "verifies a bundle and prints a table of checks; exits with code 1 if any check fails"
    parser = commands.add_parser("verify", help=text, description=text)
    parser.set_defaults(run=_verify)
    parser.add_argument("directory", help="the bundle")
    parser.add_argument("--rows", metavar="LOG.parquet", help="log whose rows are compared too")
    parser.add_argument(
        "--num-rows", type=int, default=1000, help="number of rows read from the log"
    )
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
    text = "writes a bundle with 16-bit or 8-bit weights, if quality on a labeled log permits"
    parser = commands.add_parser("compress", help=text, description=text)
    parser.set_defaults(run=_compress)
    parser.add_argument("bundle", help="the source, which is not changed")
    parser.add_argument("directory", help="folder of the smaller bundle")
    parser.add_argument("log", help="Parquet file with labeled rows that were not used in training")
    parser.add_argument("--weights", choices=WEIGHTS, default="int8")
    parser.add_argument(
        "--max-auc-loss", type=float, default=1e-3, help="largest loss of AUC per task"
    )
    parser.add_argument(
        "--max-ne-rise", type=float, default=1e-3, help="relative NE rise per task; 0.001 is 0.1 %%"
    )
    parser.add_argument(
        "--num-rows", type=int, default=100_000, help="number of rows read from the log"
    )
    parser.add_argument("--sample-weight", metavar="COL", help="column with sample weights")
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
    text = "writes a bundle whose embedding tables are separate files, for lookup by the client"
    parser = commands.add_parser("split", help=text, description=text)
    parser.set_defaults(run=_split)
    parser.add_argument("bundle", help="the source, which is not changed")
    parser.add_argument("directory", help="folder of the bundle with separate tables")
    parser.add_argument(
        "--min-bytes", type=int, default=2**20, help="tables smaller than this stay in the graph"
    )
    parser.add_argument("--modules", **_MODULES)


def _split(args: argparse.Namespace) -> int:
    print(split_tables(args.bundle, args.directory, min_bytes=args.min_bytes, modules=args.modules))
    return 0
