"""Names of calls on older commits: all that moved since 6f436f8 is looked up here."""

import types
from typing import Any

import kranking as kr
from fuzzing.judge import NotThereError

MOVED = {
    "LogFiles": (("data", "LogFiles"), ("comparison", "LogFiles")),
    "Protocol": (("training", "Protocol"), ("comparison", "Protocol")),
    "score_parquet": (("serving", "score_parquet"), ("export", "score_parquet")),
    "write_triton": (("serving", "write_triton"), ("export", "write_triton")),
    "write_tf_serving": (("serving", "write_tf_serving"), ("export", "write_tf_serving")),
}


def moved(name: str) -> Any:
    """Returns a public name from wherever the commit has it."""
    for package, attribute in MOVED[name]:
        found = getattr(getattr(kr, package, None), attribute, None)
        if found is not None:
            return found
    raise NotThereError(name)


def read_rows(rows: Any, features: Any, tasks: Any, **options: Any) -> Any:
    """Calls `kr.data.read`, or on commits without it the reader of the format of the files."""
    model = types.SimpleNamespace(features=features, tasks=tasks)
    if hasattr(kr.data, "read"):
        return kr.data.read(rows, model, **options)
    if not isinstance(rows, str):
        raise NotThereError("kr.data.read")
    reader = kr.data.read_csv if ".csv" in rows else kr.data.read_parquet
    return reader(rows, model, **options)
