"""The logs that the recipes train on: the synthetic home feed, and KuaiRand-Pure if it is available.

Each function gives a `Log`: Parquet files of train, valid and test rows, declarations, tasks (the main
one first) and the session column. Your own log needs no more than that: see `own_log.py`.
"""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import kranking as kr
from kranking.features import Categorical, Feature, Numeric, Sequence

HOMEFEED_ROWS = 600_000


@dataclass(frozen=True)
class Log(kr.data.LogFiles):
    """A log, its name, and how every model on it is trained.

    The protocols were chosen on validation rows, seed 0; docs/results/homefeed.md lists what was tried.
    """

    name: str
    protocol: kr.training.Protocol


def homefeed(folder: Path, num_rows: int, seed: int) -> Log:
    """Writes the seeded synthetic log, whose best possible result is known."""
    kr.data.write_homefeed(folder, num_rows=num_rows, seed=seed)
    features, tasks = kr.data.homefeed_declarations()
    return Log(
        name="homefeed",
        train=folder / "train",
        valid=folder / "valid",
        test=folder / "test",
        features=_short(features),
        tasks=tasks,
        session="session_id",
        protocol=_adam(3e-3, batch_size=2048, hit=kr.metrics.HitAtK(3)),
    )


def kuairand(source: Path, folder: Path, num_rows: int | None = None) -> Log:
    """Joins the user, item and history tables of KuaiRand-Pure to its impressions.

    `num_rows` cuts each part to its first rows, for a quick try.

    The items' `stat_*` columns are averages over the whole month, test days included: never read. What a
    user did in the impressions themselves is known only afterwards and is no feature either; the
    histories end before the first impression.
    """
    users = pq.read_table(source / "users.parquet")
    items = pq.read_table(source / "items.parquet")
    items = items.select([c for c in items.column_names if not c.startswith("stat_")])
    history = _with_rates(pq.read_table(source / "history.parquet"))
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for split in ("train", "valid", "test"):
        table = pq.read_table(source / f"{split}.parquet").slice(0, num_rows)
        for other, key in ((users, "user_id"), (items, "video_id"), (history, "user_id")):
            table = _left_join(table, other, key)
        minutes = table["hourmin"].to_numpy()
        table = table.append_column("hour", pa.array(minutes // 100, pa.int8()))
        files[split] = folder / f"{split}.parquet"
        temporary = folder / f".{split}.{os.getpid()}"  # several processes may want the same log
        pq.write_table(table, temporary)
        temporary.replace(files[split])
    features, tasks = kuairand_declarations()
    return Log(
        name="kuairand",
        train=files["train"],
        valid=files["valid"],
        test=files["test"],
        features=_short(features),
        tasks=tasks,
        session="session_id",
        protocol=_adam(1e-3, batch_size=1024, hit=kr.metrics.HitAtK(3, reduce="any", min_items=4)),
    )


def _adam(learning_rate: float, batch_size: int, hit: kr.metrics.HitAtK) -> kr.training.Protocol:
    optimizer = partial(keras.optimizers.Adam, learning_rate)
    return kr.training.Protocol(optimizer, batch_size, epochs=2, hit=hit)


def _short(features: list[Feature]) -> list[Feature]:
    """Starts embedding tables near 0.

    Both Pinterest models give fields unit length. A row of length r then turns by about step / r: from a
    short start, rows learn as fast as kernels do; from Keras's default, ids stay random directions.
    """
    start = keras.initializers.RandomNormal(stddev=0.003)
    return [replace(f, initializer=start) if isinstance(f, Categorical) else f for f in features]


def kuairand_declarations() -> tuple[list[Feature], list[kr.Task]]:
    """Declares the columns of the joined KuaiRand log.

    No `freshness_days`: all videos were uploaded within three days, so it is the day of the impression,
    and on later days than the training's always in the last bucket. What of it lasts is the day of upload.
    """
    small = {"embedding_dim": 8}
    user_numbers = (
        "follow_user_num",
        "fans_user_num",
        "friend_user_num",
        "register_days",
        "history_len",
    )
    features: list[Feature] = [
        Categorical("user_id", side="user", min_count=3, **small),
        Categorical("video_id", side="item", min_count=5, **small),
        Categorical("author_id", side="item", min_count=5, **small),
        Categorical("tag", side="item", separator=",", max_length=3, **small),
        Categorical("tab", side="context", **small),
        Categorical("hour", side="context", **small),
        Numeric("duration_ms", side="item", transform="log"),
        Numeric("duration", column="duration_ms", side="item", transform="bucketize", **small),
        Categorical("upload_dt", side="item", **small),
        Categorical("video_type", side="item", **small),
        Categorical("upload_type", side="item", **small),
        Categorical("music_id", side="item", min_count=20, **small),
        Categorical("user_active_degree", side="user", **small),
        *(Categorical(f"onehot_feat{i}", side="user", min_count=5, **small) for i in range(18)),
        *(
            Numeric(name, side="user", transform="log", bounds=(0, 1e6), nulls="mean")
            for name in user_numbers
        ),
        Numeric("like_rate", side="user", nulls="mean"),
        Numeric("long_view_rate", side="user", nulls="mean"),
        *(
            Sequence(name, of="video_id", max_length=20, side="user")
            for name in ("watch_seq", "like_seq", "long_watch_seq")
        ),
    ]
    return features, [
        kr.Task("click", label="is_click", weight=1.0),
        kr.Task("long_view", weight=1.0),
        kr.Task("like", label="is_like", weight=0.5),
        kr.Task("profile_enter", label="is_profile_enter", weight=0.2),
    ]


def _left_join(table: pa.Table, other: pa.Table, key: str) -> pa.Table:
    """Adds the columns of `other` by key, null where the key is not there; list columns included."""
    keys = other[key].to_numpy()
    order = np.argsort(keys)
    wanted = table[key].to_numpy()
    places = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found = keys[order][places] == wanted
    rows = other.take(pa.array(order[places], mask=~found))
    for name in other.column_names:
        if name not in table.column_names:
            table = table.append_column(name, rows[name])
    return table


def _with_rates(history: pa.Table) -> pa.Table:
    """Adds the rates at which a user liked and finished the items of the (possibly truncated) history."""
    watched = [set(row or ()) for row in history["watch_seq"].to_pylist()]
    for column, name in (("like_seq", "like_rate"), ("long_watch_seq", "long_view_rate")):
        rows = history[column].to_pylist()
        rates = [len(w & set(row or ())) / len(w) if w else None for w, row in zip(watched, rows)]
        history = history.append_column(name, pa.array(rates, pa.float64()))
    return history
