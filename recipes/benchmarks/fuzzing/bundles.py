"""Bundles that were damaged, crafted, linked, sent or replaced."""

import hashlib
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import kranking as kr
from fuzzing.draw import Draw
from fuzzing.judge import Call
from fuzzing.served import POOL, bundle, bundle_folder, draw_request, manifest_of, pool_specs

UNLISTED = "parts that the manifest does not list, or that disagree (attack14)"
CRAFTED = "crafted manifests (attack16)"
ODD_JSON = (None, {}, [], 0, -1, 1, "x", "a\0b", "../x", "/etc/passwd", True, [1], {"a": 1}, 1e308)


def _listed(folder: Path, name: str, data: bytes) -> None:
    """Writes a part and lists it."""
    (folder / name).write_bytes(data)
    manifest = manifest_of(folder)
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _places(tree: Any, path: tuple = ()) -> list[tuple]:
    """Returns the paths of all values in a JSON tree."""
    items = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    return [(*path, key) for key, _ in items] + [
        place for key, value in items for place in _places(value, (*path, key))
    ]


def _changed(draw: Draw, tree: Any, most: int = 3) -> tuple:
    """Changes or removes one value in a JSON tree, more often near its root."""
    places = [p for p in _places(tree) if len(p) <= draw.whole(1, most + 1)]
    place = draw.pick(places)
    for key in place[:-1]:
        tree = tree[key]
    if draw.chance(0.3):
        del tree[place[-1]]
    else:
        tree[place[-1]] = draw.pick(ODD_JSON)
    return place


def _craft_manifest(draw: Draw, folder: Path) -> str:
    manifest = manifest_of(folder)
    place = _changed(draw, manifest, 4)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return f"manifest {place}"


def _craft_bytes(draw: Draw, folder: Path) -> str:
    path = draw.pick([p for p in sorted(folder.rglob("*")) if p.is_file()])
    data = bytearray(path.read_bytes())
    if draw.chance(0.5) and len(data) > 1:
        data[draw.whole(0, len(data))] ^= 1 << draw.whole(0, 8)
    else:
        del data[draw.whole(0, len(data)) :]
    path.write_bytes(bytes(data))
    return f"bytes of {path.name}"


def _craft_features(draw: Draw, folder: Path) -> str:
    declared = json.loads((folder / "features.json").read_text())
    known = [f for f in declared if f.get("vocabulary") and len(f["vocabulary"]) > 1]
    if known and draw.chance(0.5):
        feature = draw.pick(known)
        feature["vocabulary"] = feature["vocabulary"][::-1]
        what = f"vocabulary of {feature['name']}"
    else:
        what = f"declarations {_changed(draw, declared)}"
    data = json.dumps(declared).encode()
    _listed(folder, "features.json", data)
    if draw.chance(0.5):
        manifest = manifest_of(folder)
        del manifest["files"]["features.json"]
        (folder / "manifest.json").write_text(json.dumps(manifest))
        what += ", unlisted"
    return what


def _craft_length(draw: Draw, folder: Path) -> str:
    declared = json.loads((folder / "features.json").read_text())
    for feature in declared:
        if feature.get("max_length"):
            feature["max_length"] = 10**7
    _listed(folder, "features.json", json.dumps(declared).encode())
    return "max_length 10**7"


def _craft_graph(draw: Draw, folder: Path) -> str:
    name = draw.pick(("serve.onnx", "model.onnx", "rank.onnx"))
    data = (folder / name).read_bytes()
    cut = data[: draw.whole(0, len(data))] if draw.chance(0.7) else b"x" * 100
    _listed(folder, name, cut)
    return f"{name} cut and listed"


def _lose(draw: Draw, folder: Path) -> str:
    path = draw.pick([p for p in sorted(folder.rglob("*")) if p.is_file()])
    if draw.chance(0.3):
        path.unlink()
        path.mkdir()
        return f"{path.name} is a folder"
    path.unlink()
    return f"{path.name} lost"


def _add(draw: Draw, folder: Path) -> str:
    name = draw.pick(("weights.bin", "tables.json", "notes.txt", ".hidden", "tables/0.npy"))
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"{}")
    return f"{name} added"


CRAFTS: dict[str, Callable[[Draw, Path], str]] = {
    CRAFTED: _craft_manifest,
    f"{CRAFTED} ": _craft_graph,
    UNLISTED: _craft_features,
    "memory of a request: a crafted max_length (attack14)": _craft_length,
    "damaged parts of a bundle": _craft_bytes,
    "lost parts of a bundle": _lose,
    "added parts of a bundle": _add,
}


def crafted_call(draw: Draw, seed: int, out: Path) -> Call:
    """A bundle of which something was changed: as before, or refused."""
    number = draw.whole(0, POOL)
    fault = draw.pick((*CRAFTS, CRAFTED, UNLISTED))
    if "memory" in fault:
        number = 1
    folder = Path(tempfile.mkdtemp(prefix="fuzz")) / "bundle"
    shutil.copytree(bundle_folder(out, number), folder)
    what = CRAFTS[fault](draw, folder)
    rows = draw_request(draw, pool_specs(seed, number))
    refusal = "must" if "memory" in fault or "vocabulary" in what else "may"
    fault = fault.strip()

    def run():
        loaded = kr.export.load_bundle(folder, threads=1)
        try:
            answers = loaded.score(rows)
            loaded.rank({n: v[:1] for n, v in rows.items()}, rows)
            return answers
        finally:
            shutil.rmtree(folder.parent, ignore_errors=True)

    what = f"{what} of bundle {number}"
    return Call("bundles, crafted", fault, what, run, same_as(out, number, rows), refusal)


def same_as(out: Path, number: int, rows: dict[str, list]) -> Callable[[dict], str | None]:
    """Returns a check that answers are those of the bundle of the pool."""

    def right(found: dict) -> str | None:
        expected = bundle(out, number).score(rows)
        wrong = [
            t
            for t, x in expected.items()
            if not np.allclose(found[t], x, atol=1e-6, equal_nan=True)
        ]
        return f"other answers of {wrong}" if wrong else None

    return right


def _linked(folder: Path, loaded: Any) -> Any:
    store = Path(tempfile.mkdtemp(prefix="fuzz"))
    (store / "blobs").mkdir()
    (store / "snapshot").mkdir()
    for file in [p for p in folder.rglob("*") if p.is_file()]:
        name = file.relative_to(folder)
        blob = store / "blobs" / "_".join(name.parts)
        shutil.copy(file, blob)
        link = store / "snapshot" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return kr.export.load_bundle(store / "snapshot", threads=1)


def _replaced(folder: Path, loaded: Any) -> Any:
    """A bundle whose folder is replaced after it was loaded."""
    place = Path(tempfile.mkdtemp(prefix="fuzz")) / "bundle"
    shutil.copytree(folder, place)
    found = kr.export.load_bundle(place, threads=1)
    shutil.rmtree(place)
    other = folder.parent / str((int(folder.name) + 1) % POOL)
    shutil.copytree(other, place)
    return found


CARRIED: dict[str, Callable[[Path, Any], Any]] = {
    "bundles behind symbolic links (serve04)": _linked,
    "bundles sent to another process (serve12)": lambda folder, loaded: pickle.loads(
        pickle.dumps(loaded)
    ),
    "a bundle that is replaced": _replaced,
}


def carried_call(draw: Draw, seed: int, out: Path) -> Call:
    """A bundle behind links, sent to another process, or replaced while it is used."""
    number, fault = draw.whole(0, POOL), draw.pick(tuple(CARRIED))
    rows = draw_request(draw, pool_specs(seed, number))
    folder, refusal = bundle_folder(out, number), "may" if "replaced" in fault else "never"
    run = CARRIED[fault]
    return Call(
        "bundles, carried",
        fault,
        f"bundle {number}",
        lambda: run(folder, bundle(out, number)).score(rows),
        same_as(out, number, rows),
        refusal,
    )
