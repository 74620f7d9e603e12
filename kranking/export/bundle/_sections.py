"""The sections of a manifest, and their types."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

SECTIONS: Mapping[str, type] = {
    "files": dict,
    "formats": list,
    "opset": int,
    "backend": str,
    "versions": dict,
    "schema_hash": str,
    "tasks": list,
    "signature": dict,
    "signatures": dict,
    "check": dict,
    "cost": dict,
    "weights": str,
}
# Without these, a bundle is neither loaded nor verified.
REQUIRED = (
    "formats",
    "opset",
    "backend",
    "versions",
    "schema_hash",
    "tasks",
    "signature",
    "signatures",
)


def check_sections(path: Path, manifest: Mapping[str, Any], required: Collection[str]) -> None:
    """Raises `ValueError`, which names file and section, unless the sections have their types.

    Args:
        path: The manifest, for the message.
        manifest: Its contents.
        required: Sections that must be there. The others are checked if they are.
    """
    for name, kind in SECTIONS.items():
        if name in required and name not in manifest:
            raise wrong_section(path, name, f"be {_KINDS[kind]}", "none")
        if name in manifest and type(manifest[name]) is not kind:
            raise wrong_section(path, name, f"be {_KINDS[kind]}", manifest[name])
    for name, entry in manifest.get("files", {}).items():
        _check_file_entry(path, name, entry)
    for section in ("formats", "tasks"):
        if not all(isinstance(item, str) for item in manifest.get(section, [])):
            raise wrong_section(path, section, "contain names", manifest[section])
    described = {f"signatures.{n}": s for n, s in manifest.get("signatures", {}).items()}
    if "signature" in manifest:
        described["signature"] = manifest["signature"]
    for section, value in described.items():
        _check_signature(path, section, value)


def wrong_section(path: Path, section: str, expected: str, received: Any) -> ValueError:
    """Returns the error for a section of a file that is not as expected."""
    return ValueError(f"{path} must {expected} in `{section}`. Received: {str(received)[:200]}")


def _check_file_entry(path: Path, name: str, entry: Any) -> None:
    good = isinstance(entry, dict) and type(entry.get("bytes")) is int
    if not good or not isinstance(entry.get("sha256"), str):
        raise wrong_section(path, f"files.{name}", "have `bytes` and `sha256`", entry)


def _check_signature(path: Path, section: str, value: Any) -> None:
    for part in ("inputs", "outputs"):
        values = value.get(part) if isinstance(value, dict) else None
        if not isinstance(values, list) or not all(map(_is_value, values)):
            raise wrong_section(
                path, f"{section}.{part}", "have a list with `name`, `dtype` and `shape`", value
            )
    if not isinstance(value.get("onnx", ""), str):
        raise wrong_section(path, f"{section}.onnx", "have a file name", value["onnx"])


def _is_value(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    shape = value.get("shape")
    return (
        isinstance(value.get("name"), str)
        and isinstance(value.get("dtype"), str)
        and isinstance(shape, list)
        and bool(shape)
        and isinstance(shape[0], str | int)
        and all(type(size) is int for size in shape[1:])
    )


_KINDS = {dict: "an object", list: "a list", int: "an integer", str: "a string"}
