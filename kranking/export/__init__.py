"""Exports trained models as verified serving artefacts, and loads them again."""

from kranking.export._error import ExportError as ExportError
from kranking.export._export_model import export_model as export_model
from kranking.export._export_report import ExportReport as ExportReport
from kranking.export._finding import Finding as Finding
from kranking.export.bundle._bundle import Bundle as Bundle
from kranking.export.bundle._load_bundle import load_bundle as load_bundle
from kranking.export.checks._verification import Verification as Verification
from kranking.export.checks._verify_bundle import verify_bundle as verify_bundle
from kranking.export.derived._compress_bundle import compress_bundle as compress_bundle
from kranking.export.derived._compression import Compression as Compression
from kranking.export.derived._split_tables import Split as Split
from kranking.export.derived._split_tables import split_tables as split_tables

__all__ = [
    "Bundle",
    "Compression",
    "ExportError",
    "ExportReport",
    "Finding",
    "Split",
    "Verification",
    "compress_bundle",
    "export_model",
    "load_bundle",
    "split_tables",
    "verify_bundle",
]
