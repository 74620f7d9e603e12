"""Serving of bundles: model repositories of servers, scoring of logs, and latency measurements."""

from kranking.serving._evaluate_scores import evaluate_scores as evaluate_scores
from kranking.serving._latency_in_turns import Latencies as Latencies
from kranking.serving._latency_in_turns import latency_in_turns as latency_in_turns
from kranking.serving._measure_serving import serving_latency as serving_latency
from kranking.serving._score_parquet import Scores as Scores
from kranking.serving._score_parquet import score_parquet as score_parquet
from kranking.serving._serving_latency import ServingLatency as ServingLatency
from kranking.serving._write_tf_serving import write_tf_serving as write_tf_serving
from kranking.serving._write_triton import write_triton as write_triton

__all__ = [
    "Latencies",
    "Scores",
    "ServingLatency",
    "evaluate_scores",
    "latency_in_turns",
    "score_parquet",
    "serving_latency",
    "write_tf_serving",
    "write_triton",
]
