"""Declarations of your own log, for `own_log.py`: copy this file and name your columns.

`python recipes/own_log.py --data FOLDER --infer` prints a first draft for the Parquet files in FOLDER.
"""

import kranking as kr
from kranking.features import Categorical, Embedding, Numeric, Sequence

SESSION = "request_id"  # the column that says which rows were ranked against each other

FEATURES = [
    Categorical("user", side="user", min_count=2),  # vocabulary learnt from the log
    Categorical("country", side="user"),
    Numeric("age", side="user", nulls="mean"),
    Sequence("watched", of="video", max_length=10, side="user"),
    Categorical("video", side="item"),
    Categorical("tags", side="item", separator=",", max_length=4),
    Numeric("seconds", side="item", transform="log"),
    Embedding("cover", dim=8, side="item"),
]

TASKS = [  # the main one first
    kr.Task("like", weight=1.0),
    kr.Task("finish", label="watched_to_the_end", weight=0.3),
]
