"""Verification of a bundle on disk, using only what it contains."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kranking._core import check_positive_int
from kranking._paths import as_path
from kranking._rows import first_rows, rows_name
from kranking.export._error import ExportError
from kranking.export._finding import FAILED, OK, WARNING, Finding, find
from kranking.export._parity import TOLERANCE
from kranking.export.bundle._log import open_log
from kranking.export.bundle._manifest import FEATURES_FILE, MANIFEST
from kranking.export.checks._check_artefacts import check_artefacts
from kranking.export.checks._describe import describe_cost
from kranking.export.checks._expected_answers import ExpectedAnswers, expected_answers
from kranking.export.checks._tensorflow_process import in_tensorflow
from kranking.export.checks._tolerances import read_tolerances, with_tolerances
from kranking.export.checks._verification import Verification
from kranking.export.checks._verify_files import check_files, check_versions, read_whole_manifest
from kranking.export.formats._keras_file import KERAS_FILE, load_keras
from kranking.export.functions._served_function import IDS, ONNX_FILES, ServedFunction, functions_of
from kranking.export.functions._signature import Signature
from kranking.features import Preprocessor, from_json, schema_hash

_UNITS = {
    "table_parameters": "parameters in tables",
    "dense_parameters": "parameters elsewhere",
    "flops": "FLOPs of matrix products per row",
    "artefact": "bytes of weights",
}


def verify_bundle(
    directory: str | Path,
    *,
    log: Any = None,
    num_log_rows: int = 1000,
    num_check_rows: int = 64,
    check_seed: int = 0,
    modules: Sequence[str] = (),
) -> Verification:
    """Repeats the checks of `export_model` on a bundle, and checks that its files have not changed.

    The checks compare the files with the manifest, the versions with the installed ones (a difference is
    a warning), the schema hash of the features, names, dtypes and shapes of each artefact, its operator
    set, and its outputs with those of `model.keras`, on random rows and on rows with extreme values. All
    checks are run, even if some fail. The cost of the model comes last.

    The hashes are stored in the bundle itself: they detect damage, not tampering.

    Args:
        directory: Folder that `export_model` wrote.
        log: Rows of a log that are compared too, of any kind that `features.fit` accepts.
        num_log_rows: Number of rows read from the log.
        num_check_rows: Number of random rows for the comparison. Rows with extreme values of every input
            are added.
        check_seed: Seed of the random rows.
        modules: Modules that register custom layers of the model. They are imported; `model.keras`
            itself is loaded in the safe mode of Keras.

    Returns:
        A `Verification` with the result of each check. A failed check does not raise an error.

    Raises:
        ValueError: If `num_log_rows` or `num_check_rows` is not a positive integer.

    >>> print(verify_bundle("nowhere").failed[0].figure)
    `directory` must contain a bundle with a manifest.json. Received: directory='nowhere'
    """
    check_positive_int("num_log_rows", num_log_rows)
    check_positive_int("num_check_rows", num_check_rows)
    folder, checks = as_path("directory", directory), _Checks()
    manifest = checks.do("manifest", MANIFEST, partial(read_whole_manifest, folder), _of_manifest)
    if manifest is None:
        return Verification(folder, tuple(checks.found))
    checks.found += [*check_files(folder, manifest), *check_versions(manifest)]
    features = checks.do(
        "declarations", FEATURES_FILE, partial(_features, folder, manifest), _of_features
    )
    model = checks.do("model", KERAS_FILE, partial(_model, folder, manifest, modules), _of_model)
    declared = checks.do("signatures", MANIFEST, partial(_signatures_in, manifest), ", ".join) or {}
    given, make = log is not None and features, partial(_rows, log, features, num_log_rows)
    columns = checks.do("log", rows_name(log), make, _of_rows) if given else None
    expectations = {name: ExpectedAnswers(signature) for name, signature in declared.items()}
    if model and declared:
        make = partial(functions_of, model, [name for name in declared if name != IDS])
        functions = checks.do("functions", KERAS_FILE, make, _of_functions)
        if functions:
            checks.do(
                "signatures", KERAS_FILE, partial(_check_signatures, functions, declared), ", ".join
            )
            given = None if columns is None else Preprocessor(features)(columns)
            make = partial(
                expected_answers, model, functions, num_check_rows, check_seed, given, columns
            )
            expectations = checks.do("answers", KERAS_FILE, make, _of_answers) or expectations
    if "weights" in manifest:
        tolerances = checks.do(
            "tolerances", MANIFEST, partial(read_tolerances, manifest), _of_tolerances
        )
        expectations = with_tolerances(
            expectations, tolerances or dict.fromkeys(expectations, TOLERANCE)
        )
    if expectations:
        checks.found += _check_artefacts(folder, manifest, expectations, modules)
    if model:
        checks.found += _check_cost(describe_cost(model), manifest["cost"])
    return Verification(folder, tuple(checks.found))


class _Checks:
    """Collects the findings of checks."""

    def __init__(self):
        self.found: list[Finding] = []

    def do(self, check: str, of: str, make: Callable[[], Any], figure: Callable[[Any], str]) -> Any:
        """Returns the result of `make`, or None if it fails, and appends the finding."""
        made: list[Any] = []

        def look() -> str:
            made.append(make())
            return figure(made[0])

        self.found.append(find(check, of, look))
        return made[0] if self.found[-1].passed else None


def _features(folder: Path, manifest: Mapping[str, Any]) -> list[Any]:
    features = from_json((folder / FEATURES_FILE).read_text("utf-8"))
    _check_hash(features, manifest)
    return features


def _model(folder: Path, manifest: Mapping[str, Any], modules: Sequence[str]) -> Any:
    model = load_keras(folder, modules)
    Signature.of(model)  # raises if the model cannot be served
    _check_hash(model.features, manifest)
    return model


def _check_hash(features: Any, manifest: Mapping[str, Any]) -> None:
    expected, received = manifest["schema_hash"], schema_hash(features)
    if received != expected:
        raise ValueError(
            f"The schema hash of the features must be {expected}. Received: {received}"
        )


def _signatures_in(manifest: Mapping[str, Any]) -> dict[str, Signature]:
    described = manifest["signatures"]
    if IDS not in described or not set(described) <= set(ONNX_FILES):
        raise ValueError(
            f"{MANIFEST} must describe the signature {IDS!r} and only signatures of {list(ONNX_FILES)}. "
            f"Received: {list(described)}"
        )
    if "onnx" in manifest["formats"]:
        files = {name: described[name].get("onnx") for name in described}
        expected = {name: ONNX_FILES[name] for name in described}
        if files != expected or not set(files.values()) <= set(manifest["files"]):
            raise ValueError(
                f"{MANIFEST} must have the ONNX files {expected} for its signatures, and list them under "
                f"`files`. Received: {files}"
            )
    return {name: Signature.from_json(described[name]) for name in described}


def _check_signatures(
    functions: Sequence[ServedFunction], declared: Mapping[str, Signature]
) -> list[str]:
    wrong = [
        function.name for function in functions if function.signature != declared[function.name]
    ]
    if wrong:
        raise ValueError(
            f"{MANIFEST} must describe the inputs and outputs of the model. "
            f"Received: different ones for the signatures {wrong}"
        )
    return list(declared)


def _rows(log: Any, features: Sequence[Any], count: int) -> dict[str, Any]:
    columns = first_rows(open_log(log, features), Preprocessor(features).columns, count)
    Preprocessor(features)(columns)  # raises for values of the log that a feature rejects
    return columns


def _check_artefacts(
    folder: Path,
    manifest: Mapping[str, Any],
    expectations: Mapping[str, ExpectedAnswers],
    modules: Sequence[str],
) -> list[Finding]:
    try:
        return in_tensorflow(
            check_artefacts, folder, manifest["formats"], manifest["opset"], expectations, modules
        )
    except ExportError as error:  # the process terminated
        return [Finding("artefacts", str(folder), FAILED, str(error))]


def _check_cost(cost: Mapping[str, Any], noted: Mapping[str, Any]) -> Iterator[Finding]:
    for name, unit in _UNITS.items():
        figure = f"{cost[name]:,} {unit}"
        same = noted.get(name, cost[name]) == cost[name]
        if not same:
            figure += f", {noted[name]} in the manifest"
        yield Finding("cost", name, OK if same else WARNING, figure)
    if cost["unknown"]:
        yield Finding("cost", "unknown", WARNING, f"layers not counted: {cost['unknown']}")


def _of_manifest(manifest: Mapping[str, Any]) -> str:
    return f"{' and '.join(manifest['formats'])}, exported on {manifest['backend']}"


def _of_features(features: Sequence[Any]) -> str:
    return f"{len(features)} features, schema hash as in {MANIFEST}"


def _of_model(model: Any) -> str:
    return f"loaded in safe mode, {len(model.tasks)} tasks, schema hash as in {MANIFEST}"


def _of_functions(functions: Sequence[ServedFunction]) -> str:
    return ", ".join(function.name for function in functions)


def _of_tolerances(tolerances: Mapping[str, float]) -> str:
    return ", ".join(f"{value:.2g} for {name}" for name, value in tolerances.items())


def _of_rows(columns: Mapping[str, Any]) -> str:
    return f"{len(next(iter(columns.values()))):,} rows"


def _of_answers(expectations: Mapping[str, ExpectedAnswers]) -> str:
    sizes = [f"{expected.size:,} rows of {name}" for name, expected in expectations.items()]
    return f"finite on {', '.join(sizes)}"
