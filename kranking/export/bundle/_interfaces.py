"""Whether the declarations, the manifest and the graphs of a bundle agree."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kranking.export.bundle._manifest import FEATURES_FILE, MANIFEST
from kranking.export.bundle._sections import wrong_section
from kranking.export.functions._served_function import (
    IDS,
    RANK,
    SERVE,
    TOWER,
    Part,
    names_on_columns,
    rank_parts,
    tower_part,
)
from kranking.export.functions._signature import Value
from kranking.features import Feature, RawColumns, from_json, schema_hash
from kranking.features.internal import check_features, model_inputs


def declared_features(folder: Path, manifest: Mapping[str, Any]) -> list[Feature]:
    """Reads the features of a bundle.

    Raises:
        ValueError: If the file has no declarations, or others than the manifest describes.
    """
    path = folder / FEATURES_FILE
    if FEATURES_FILE not in manifest["files"]:
        raise wrong_section(folder / MANIFEST, "files", f"list {FEATURES_FILE}", "no such file")
    try:
        features = from_json(path.read_text("utf-8"))
        check_features(features)
        received = schema_hash(features)
    except Exception as error:  # of JSON, or of a declaration with other arguments than its own
        raise ValueError(
            f"{path} must have the declarations of the features. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    if received != manifest["schema_hash"]:
        raise wrong_section(
            folder / MANIFEST,
            "schema_hash",
            f"have the hash of the declarations in {FEATURES_FILE}, {received},",
            manifest["schema_hash"],
        )
    declared = tuple(
        Value(n, str(s.dtype), tuple(s.shape)) for n, s in model_inputs(features).items()
    )
    _check_inputs(folder, "signature", declared, manifest["signature"])
    return features


def check_columns(
    folder: Path, name: str, manifest: Mapping[str, Any], features: Sequence[Feature]
) -> None:
    """Raises `ValueError` unless the manifest describes the inputs that the columns are encoded to."""
    if name not in names_on_columns(features):
        return
    parts = {
        SERVE: lambda: (Part(RawColumns(features)),),
        RANK: lambda: rank_parts(features),
        TOWER: lambda: (tower_part(features),),
    }[name]()
    declared = tuple(value for part in parts for value in part.values())
    _check_inputs(folder, f"signatures.{name}", declared, manifest["signatures"][name])


def check_graph(path: Path, name: str, manifest: Mapping[str, Any], session: Any) -> None:
    """Raises `ValueError` unless a graph has the inputs and outputs that the manifest describes."""
    section = "signature" if name == IDS else f"signatures.{name}"
    described = manifest["signature"] if name == IDS else manifest["signatures"][name]
    for part, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        expected = {v.name: (v.dtype, v.shape) for v in map(Value.from_json, described[part])}
        found = {v.name: (_dtype(v.type), tuple(v.shape[1:])) for v in values}
        if expected != found:
            raise ValueError(
                f"{path} must have the {part} that `{section}` of {MANIFEST} describes, {expected}. "
                f"Received: {found}"
            )


def _check_inputs(
    folder: Path, section: str, declared: Sequence[Value], described: Mapping[str, Any]
) -> None:
    found = [Value.from_json(value) for value in described["inputs"]]
    if sorted(found, key=_by_name) != sorted(declared, key=_by_name):
        text = json.dumps([value.to_json() for value in declared])
        raise wrong_section(
            folder / MANIFEST,
            f"{section}.inputs",
            f"describe the inputs of the features in {FEATURES_FILE}, {text},",
            described["inputs"],
        )


def _by_name(value: Value) -> str:
    return value.name


def _dtype(kind: str) -> str:
    """Returns the dtype of a tensor type of ONNX Runtime, such as `tensor(float)`."""
    name = kind.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)
