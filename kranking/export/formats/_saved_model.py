"""Writing SavedModels whose signatures have exact names, and running them."""

import contextlib
import keyword
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kranking._process import Setting
from kranking.export._rows import Rows
from kranking.export.formats._graph import graph_of
from kranking.export.formats._tensorflow_ops import constant_of
from kranking.export.functions._signature import Signature

SAVED_MODEL = "saved_model"
DEFAULT = "serving_default"
_ABSL = logging.getLogger("absl")
_ABSL_LEVEL = Setting(lambda: _ABSL.level, _ABSL.setLevel)
Functions = Mapping[str, tuple[Callable, Signature]]


def write_saved_model(
    functions: Functions, variables: list, tables: Mapping[Any, Any], folder: Path
) -> None:
    """Writes one signature per function; the first is also `serving_default`.

    TensorFlow converts the names of a signature to Python parameters, and therefore renames or rejects
    most names that are not identifiers. For this reason, functions are traced with generic names, which
    are replaced by the real ones in the written protocol buffer.

    Args:
        functions: By key of the signature, a function from a dict of tensors to another, and its
            signature.
        variables: Variables that the functions use.
        tables: Lookup tables that the functions create while they are traced.
        folder: Folder to write to.
    """
    import tensorflow as tf

    module = tf.Module()
    module.weights = variables
    traced, renamed = {}, {}
    for key, (function, signature) in functions.items():
        inputs, outputs = _plain_names(key, signature)
        exact = _with_exact_names(function, signature)
        setattr(module, key, exact)
        # Calls the traced function instead of tracing again.
        traced[key] = _with_plain_names(exact, signature, inputs, outputs)
        renamed[key] = (
            {plain: name for name, plain in inputs.items()},
            {plain: name for name, plain in outputs.items()},
        )
    module.tables = list(tables.values())
    first = next(iter(functions))
    with _ABSL_LEVEL.held(logging.WARNING):  # as TensorFlow leaves it
        tf.saved_model.save(module, str(folder), signatures={**traced, DEFAULT: traced[first]})
    _rename(folder, {**renamed, DEFAULT: renamed[first]})


def _with_exact_names(function: Callable, signature: Signature) -> Any:
    import tensorflow as tf

    specs = {v.name: tf.TensorSpec((v.rows, *v.shape), v.dtype) for v in signature.inputs}
    return graph_of(function, [specs])


def _with_plain_names(function: Callable, signature: Signature, inputs: Any, outputs: Any) -> Any:
    import tensorflow as tf

    def plain(**tensors):
        answers = function({name: tensors[inputs[name]] for name in inputs})
        return {outputs[name]: answers[name] for name in outputs}

    specs = {
        inputs[v.name]: tf.TensorSpec((v.rows, *v.shape), v.dtype, name=inputs[v.name])
        for v in signature.inputs
    }
    return tf.function(plain, autograph=False).get_concrete_function(**specs)


def load_saved_model(folder: Path) -> Any:
    """Loads a SavedModel, without warnings about names that are no Python identifiers."""
    import tensorflow as tf

    with _exact_names_expected():
        return tf.saved_model.load(str(folder))


def run_saved_model(loaded: Any, key: str = DEFAULT) -> Callable[[Rows], dict[str, np.ndarray]]:
    """Returns a function from rows to the outputs of a signature of a SavedModel.

    It calls the signature with keyword arguments if all names allow it, otherwise with one dict.
    """
    by_keyword = not loaded.signatures[key].structured_input_signature[0]

    def run(rows: Rows) -> dict[str, np.ndarray]:
        signature = loaded.signatures[
            key
        ]  # `loaded` owns the variables: the closure must keep it alive
        tensors = {name: constant_of(column) for name, column in rows.items()}
        with _exact_names_expected():
            answers = signature(**tensors) if by_keyword else signature(tensors)
        return {name: answer.numpy() for name, answer in answers.items()}

    return run


@contextlib.contextmanager
def _exact_names_expected() -> Iterator[None]:
    """Suppresses the TensorFlow message that a name is not a valid parameter; the names are intended."""

    def needed(record: logging.LogRecord) -> bool:
        return "not a valid tf.function parameter name" not in record.getMessage()

    _ABSL.addFilter(needed)
    try:
        yield
    finally:
        _ABSL.removeFilter(needed)


def callable_by_keyword(names: list[str]) -> bool:
    """Whether TensorFlow accepts these names as keyword arguments of a signature."""
    parameters = [_parameter(name) for name in names]
    return len(set(parameters)) == len(parameters) and all(
        name.isidentifier() and not keyword.iskeyword(name) for name in parameters
    )


def _parameter(name: str) -> str:
    """Returns the Python parameter to which TensorFlow converts a name."""
    plain = "".join(c if c.isalnum() else "_" for c in name)
    return plain if plain[0].isalpha() else "arg_" + plain


def _plain_names(key: str, signature: Signature) -> tuple[dict[str, str], dict[str, str]]:
    """Returns generic names in the order in which TensorFlow flattens the real ones."""
    inputs = sorted(value.name for value in signature.inputs)
    if callable_by_keyword(inputs):
        inputs.sort(key=_parameter)
    outputs = sorted(value.name for value in signature.outputs)
    return (
        {name: f"{key}_input_{i:06d}" for i, name in enumerate(inputs)},
        {name: f"{key}_output_{i:06d}" for i, name in enumerate(outputs)},
    )


def _rename(folder: Path, renamed: Mapping[str, tuple[dict[str, str], dict[str, str]]]) -> None:
    """Writes the real names to the SignatureDefs and to the object graph, which Python loads."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    graph = saved.meta_graphs[0]
    for key, (inputs, outputs) in renamed.items():
        _replace_keys(graph.signature_def[key].inputs, inputs)
        _replace_keys(graph.signature_def[key].outputs, outputs)
    objects = graph.object_graph_def
    for node in objects.nodes:
        function = node.bare_concrete_function
        for key, (inputs, outputs) in renamed.items():
            if key != DEFAULT and set(function.argument_keywords) == set(inputs):
                keywords = [inputs[name] for name in function.argument_keywords]
                function.argument_keywords[:] = keywords
                function.ClearField("function_spec")
                concrete = objects.concrete_functions[function.concrete_function_name]
                _rename_structure(concrete, inputs, outputs)
                break
    path.write_bytes(saved.SerializeToString(deterministic=True))
    # The fingerprint contains a checksum of the file before the change; loading does not need it.
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def _rename_structure(concrete: Any, inputs: dict[str, str], outputs: dict[str, str]) -> None:
    arguments, keywords = concrete.canonicalized_input_signature.tuple_value.values
    keywords = keywords.dict_value.fields
    _replace_keys(keywords, inputs)
    _replace_keys(concrete.output_signature.dict_value.fields, outputs)
    if not callable_by_keyword(list(keywords)):
        positional = arguments.tuple_value.values.add().dict_value.fields
        for name in list(keywords):
            positional[name].CopyFrom(keywords[name])
            del keywords[name]


def _replace_keys(fields: Any, names: dict[str, str]) -> None:
    values = {
        plain: type(fields[plain]).FromString(fields[plain].SerializeToString()) for plain in names
    }
    for plain in names:
        del fields[plain]
    for plain, name in names.items():
        fields[name].CopyFrom(values[plain])
        if hasattr(fields[name], "tensor_spec_value"):
            fields[name].tensor_spec_value.name = name
