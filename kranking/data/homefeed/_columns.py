"""The columns of the synthetic Homefeed log."""

import numpy as np
import pyarrow as pa

from kranking.data.homefeed._population import (
    ACTIONS,
    COUNTRIES,
    DEVICES,
    STATES,
    TOPICS,
    Impressions,
    Population,
)


def record_batch(p: Population, rows: Impressions, outcomes: dict) -> pa.RecordBatch:
    """Returns the columns of impressions; `outcomes` holds the probabilities and labels of each task."""
    row, user = rows.session, rows.user[rows.session]
    columns = {
        "session_id": rows.first + row,
        "request_time": rows.time[row],
        "user_id": user,
        "country": _names(COUNTRIES, p.country[user]),
        "user_state": _names(STATES, p.state[user]),
        "user_sessions_28d": p.sessions_28d[user],
        "interests": _lists(p.interests, p.num_interests, np.array(TOPICS)).take(user),
        **_history(p, rows),
        "device": _names(DEVICES, rows.device[row]),
        "hour": rows.hour[row].astype(np.int32),
        "pin_id": rows.pin,
        "topic": _names(TOPICS, p.topic[rows.pin]),
        "pin_age_days": rows.age.astype(np.float32),
        "pin_saves": p.saves[rows.pin],
        "price": pa.array(np.exp(p.log_price), pa.float32(), mask=~p.has_price).take(rows.pin),
        "cover": _vectors(p.cover).take(rows.pin),
    }
    for task, (_, label) in outcomes.items():
        columns[task] = label.astype(np.int8)
    for task, (probability, _) in outcomes.items():
        columns[f"p_{task}"] = probability
    return pa.RecordBatch.from_pydict(columns)


def _names(names, index):
    return pa.array(names).take(pa.array(index))


def _lists(values, counts, names=None):
    """Returns an array of lists with the first `counts[i]` values of each row."""
    flat = values[np.arange(values.shape[1]) < counts[:, None]]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(flat if names is None else names[flat]))


def _vectors(matrix):
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.reshape(-1)))


def _history(p, rows):
    user, counts = rows.user[:, None], rows.event_mask.sum(1)
    newest_last = np.argsort(~rows.event_mask, axis=1, kind="stable")
    events = np.take_along_axis(rows.events, newest_last, axis=1)
    columns = {
        "engaged_pins": _lists(p.event_pin[user, events], counts),
        "engaged_actions": _lists(p.event_action[user, events], counts, np.array(ACTIONS)),
        "engaged_times": _lists(p.event_time[user, events], counts),
    }
    return {name: column.take(rows.session) for name, column in columns.items()}
