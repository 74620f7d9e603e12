"""Metrics by their names in logs, computed over all rows of the tasks of a dataset."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from kranking._core import as_tuple
from kranking.metrics._exact_auc import auc, grouped_auc
from kranking.metrics._hit_at_k import HitAtK
from kranking.metrics._pointwise import calibration, log_loss, normalized_entropy

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # labels, scores and weights

_ON_PROBABILITIES = {"ne": normalized_entropy, "logloss": log_loss, "calibration": calibration}
_DIRECTIONS = {"ne": "down", "logloss": "down", "calibration": None}  # all others are better up


class EvaluationMetrics:
    """Exact metrics by name.

    Args:
        metrics: `"auc"`, `"gauc"`, `"hit@3"` or another number, `"ne"`, `"logloss"`, `"calibration"`, or
            `HitAtK` objects.
        session: Index of the session of each row, or `None`.
        group: Index of the group of each row for `"gauc"`; `None` uses the sessions.
        prefix: Prefix of every name.

    Raises:
        ValueError: If a metric is unknown, stands twice, or needs sessions that are not there.
    """

    def __init__(
        self,
        metrics: Sequence[str | HitAtK],
        session: np.ndarray | None,
        group: np.ndarray | None,
        prefix: str = "",
    ):
        self.session, self.group, self.prefix = session, group, prefix
        self._functions = self._resolve(metrics)
        self.on_probabilities = [name for name in self._functions if name in _ON_PROBABILITIES]

    def __call__(self, rows: Mapping[str, Rows], *, from_logits: bool) -> dict[str, float]:
        """Computes the metrics of each task; the one task called `""` has no name in the logs."""
        scale = {"from_logits": from_logits}
        return {
            self._log(task, name): function(
                *of_task, **(scale if name in _ON_PROBABILITIES else {})
            )
            for task, of_task in rows.items()
            for name, function in self._functions.items()
        }

    def directions(self, tasks: Sequence[str]) -> dict[str, str | None]:
        """Returns whether each log of these tasks is better `"up"` or `"down"`, or `None` for neither."""
        return {
            self._log(task, name): _DIRECTIONS.get(name, "up")
            for task in tasks
            for name in self._functions
        }

    def _log(self, task: str, metric: str) -> str:
        return f"{self.prefix}{task}_{metric}" if task else self.prefix + metric

    def _resolve(self, metrics: Sequence[str | HitAtK]) -> dict[str, Callable[..., float]]:
        functions = {}
        for metric in as_tuple("metrics", metrics, "names and HitAtK objects"):
            name, function, by = self._lookup(metric)
            if name in functions:
                raise ValueError(f"`metrics` must not contain duplicates. Received twice: {name!r}")
            if by is not None and getattr(self, by) is None:
                raise ValueError(f"`{by}` is required by metric {name!r}. Received: {by}=None")
            functions[name] = function
        return functions

    def _lookup(self, metric):
        """Returns the name of a metric, its function of (y, score, weight), and its grouping argument."""
        if isinstance(metric, str) and re.fullmatch(r"hit@[1-9][0-9]*", metric):
            metric = HitAtK(int(metric.removeprefix("hit@")))
        if isinstance(metric, HitAtK):
            return metric.name, partial(_hits, metric, self.session), "session"
        if metric == "gauc":
            by = "session" if self.group is None else "group"
            return metric, partial(_grouped, by, getattr(self, by)), by
        if metric == "auc":
            return metric, auc, None
        if isinstance(metric, str) and metric in _ON_PROBABILITIES:
            return metric, _ON_PROBABILITIES[metric], None
        raise ValueError(
            f"`metrics` must be names in {['auc', *_ON_PROBABILITIES, 'gauc', 'hit@3']}, with any number "
            f"for 3, or HitAtK objects. Received: {metric!r}"
        )


def _hits(metric: HitAtK, session, y, score, weight):
    _check_length("session", session, len(y))
    kept = weight != 0
    return metric(y[kept], score[kept], session[kept])


def _grouped(argument, group, y, score, weight):
    _check_length(argument, group, len(y))
    return grouped_auc(y, score, group, weight)


def _check_length(name, values, rows):
    if len(values) != rows:
        raise ValueError(
            f"`{name}` must have one value for each of the {rows} rows of `data`. "
            f"Received: {len(values)} values"
        )
