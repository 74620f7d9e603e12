"""From a trained model to artefacts that serve it, checked; and back from disk."""

from kranking.export._error import ExportError as ExportError
from kranking.export._export_model import ExportReport as ExportReport
from kranking.export._export_model import export_model as export_model
from kranking.export._finding import Finding as Finding
from kranking.export._latency import Latencies as Latencies
from kranking.export._latency import latency_in_turns as latency_in_turns
from kranking.export._score_parquet import Scores as Scores
from kranking.export._score_parquet import score_parquet as score_parquet
from kranking.export._serving_latency import ServingLatency as ServingLatency
from kranking.export._serving_latency import serving_latency as serving_latency
from kranking.export._tf_serving import write_tf_serving as write_tf_serving
from kranking.export._triton import write_triton as write_triton
from kranking.export.bundle._bundle import Bundle as Bundle
from kranking.export.bundle._bundle import load_bundle as load_bundle
from kranking.export.checks._verification import Verification as Verification
from kranking.export.checks._verify_bundle import verify_bundle as verify_bundle
from kranking.export.derived._compress_bundle import Compression as Compression
from kranking.export.derived._compress_bundle import compress_bundle as compress_bundle
from kranking.export.derived._split_tables import Split as Split
from kranking.export.derived._split_tables import split_tables as split_tables

__all__ = [
    "Bundle",
    "Compression",
    "ExportError",
    "ExportReport",
    "Finding",
    "Latencies",
    "Scores",
    "ServingLatency",
    "Split",
    "Verification",
    "compress_bundle",
    "export_model",
    "latency_in_turns",
    "load_bundle",
    "score_parquet",
    "serving_latency",
    "split_tables",
    "verify_bundle",
    "write_tf_serving",
    "write_triton",
]
