"""Declarations of the synthetic Homefeed log, and the metrics of its ground truth."""

from collections.abc import Iterable
from os import PathLike

import numpy as np

from kranking._core import check_instance
from kranking._rows import columns_of
from kranking.data.homefeed._log import HomefeedLog
from kranking.data.homefeed._truth import ORDERS, TERMS, WEIGHTS, sigmoid
from kranking.features import Categorical, Embedding, Feature, Numeric, Sequence, Task
from kranking.metrics import HitAtK, auc, normalized_entropy

_PARTS = {
    "order 1": ("1",),
    "order <= 2": ("1", "2"),
    "order <= 3": ("1", "2", "3"),
    "order <= 4": ("1", "2", "3", "4"),
    "no additive": ("2", "3", "4", "nonlinear"),
    "all (Bayes)": ("1", "2", "3", "4", "nonlinear"),
}


def homefeed_declarations() -> tuple[list[Feature], list[Task]]:
    """Returns the features and tasks of the Homefeed log, not fitted yet.

    >>> features, tasks = homefeed_declarations()
    >>> [task.name for task in tasks]
    ['save', 'closeup', 'hide']
    """
    features = [
        Categorical("user_id", side="user"),
        Categorical("country", side="user"),
        Categorical("user_state", side="user"),
        Numeric("user_sessions_28d", side="user", transform="log"),
        Categorical("interests", side="user", max_length=5),
        Sequence(
            "engaged_pins",
            of="pin_id",
            max_length=20,
            side="user",
            action="engaged_actions",
            time="engaged_times",
            request_time="request_time",
        ),
        Categorical("device", side="context"),
        Categorical("hour", side="context"),
        Categorical("pin_id", side="item"),
        Categorical("topic", side="item"),
        Numeric("pin_age_days", side="item", transform="log"),
        Numeric("pin_saves", side="item", transform="log"),
        Numeric("price", side="item", transform="log", nulls="mean"),
        Embedding("cover", dim=32, side="item"),
    ]
    return features, [
        Task("save", weight=1.0),
        Task("closeup", weight=0.3),
        Task("hide", weight=0.5),
    ]


def bayes_optimal(
    paths: str | PathLike | Iterable[str | PathLike],
) -> dict[str, dict[str, float]]:
    """Computes AUC, NE and HIT@3 of the true probabilities, the best achievable except by chance.

    Args:
        paths: Parquet files of a Homefeed log: path, folder, glob or a list of them.

    Returns:
        For each task, `{"auc": …, "ne": …, "hit@3": …, "hit@3 random": …}`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     HomefeedLog(num_rows=4_000).write(folder)
    ...     0.8 < bayes_optimal(folder)["save"]["auc"] < 0.9
    HomefeedLog(num_rows=4000, seed=0, num_users=2000, num_pins=2000, valid=0.1, test=0.1)
    True
    """
    names = ["session_id", *WEIGHTS, *(f"p_{task}" for task in WEIGHTS)]
    columns = {name: np.asarray(column) for name, column in columns_of(paths, names).items()}
    return {
        task: _scores(columns[task], _logit(columns[f"p_{task}"]), columns["session_id"])
        for task in WEIGHTS
    }


def truth_table(log: HomefeedLog) -> dict[str, dict[str, dict[str, float]]]:
    """Computes the metrics of parts of the ground truth, from additive terms only to all terms.

    A part keeps the terms of the named orders, with the best bias and scale for NE.

    Args:
        log: The log whose impressions are scored; all of them are held in memory.

    Returns:
        For each task and part, `{"auc": …, "ne": …, "hit@3": …, "hit@3 random": …}`.

    >>> table = truth_table(HomefeedLog(num_rows=4_000))["closeup"]
    >>> table["order 1"]["auc"] < table["order <= 2"]["auc"] < table["all (Bayes)"]["auc"]
    True
    """
    check_instance("log", log, HomefeedLog)
    sessions, terms, labels = log.terms()
    table: dict[str, dict[str, dict[str, float]]] = {}
    for task, y in labels.items():
        table[task] = {}
        for part, orders in _PARTS.items():
            kept = np.array([ORDERS[term] in orders for term in TERMS])
            score = (np.asarray(WEIGHTS[task]) * kept) @ terms
            table[task][part] = _scores(y, _calibrated(score, y), sessions)
    return table


def _logit(probability):
    return np.log(probability) - np.log1p(-probability)


def _scores(y, logits, session):
    hit = HitAtK(3)
    return {
        "auc": auc(y, logits),
        "ne": normalized_entropy(y, logits, from_logits=True),
        "hit@3": hit(y, logits, session),
        "hit@3 random": hit.expected_random(y, session),
    }


def _calibrated(score, y):
    """Returns `a + b · score`, with `a` and `b` fitted by Newton's method."""
    design = np.stack([np.ones_like(score), score], 1)
    solution = np.array([np.log(max(y.mean(), 1e-6)), 1.0])
    for _ in range(30):
        p = sigmoid(design @ solution)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        solution = solution + np.linalg.solve(hessian, design.T @ (y - p))
    return design @ solution
