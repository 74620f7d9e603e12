"""Writing a SavedModel whose signature carries exact names, and running it."""

import contextlib
import keyword
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kranking.export._check_rows import Rows
from kranking.export._signature import Signature

SIGNATURES = ("serve", "serving_default")


def write_saved_model(serve: Callable, variables: list, signature: Signature, folder: Path) -> None:
    """Writes `serve` with the signatures `serve` and `serving_default` (the same function).

    TensorFlow makes Python parameters out of a signature's names, and so renames or refuses
    most names that are not identifiers. So the function is traced with plain names, and the
    names in the written protocol buffer are replaced by the real ones.
    """
    import tensorflow as tf

    inputs, outputs = _plain_names(signature)
    dtypes = {value.name: (value.dtype, (None, *value.shape)) for value in signature.inputs}

    def plain(**tensors):
        answers = serve({name: tensors[inputs[name]] for name in inputs})
        return {outputs[name]: answers[name] for name in outputs}

    specs = {
        inputs[name]: tf.TensorSpec(shape, dtype, name=inputs[name])
        for name, (dtype, shape) in dtypes.items()
    }
    module = tf.Module()
    module.weights = variables
    module.serve = tf.function(
        serve,
        input_signature=[{n: tf.TensorSpec(shape, dtype) for n, (dtype, shape) in dtypes.items()}],
    )
    traced = tf.function(plain).get_concrete_function(**specs)
    tf.saved_model.save(module, str(folder), signatures=dict.fromkeys(SIGNATURES, traced))
    _rename(
        folder,
        {plain: name for name, plain in inputs.items()},
        {plain: name for name, plain in outputs.items()},
    )


def run_saved_model(folder: Path) -> Callable[[Rows], dict[str, np.ndarray]]:
    """Loads a SavedModel and gives a function from rows to probabilities.

    It calls the signature `serve` itself, by keyword where Python allows the names, and by one
    dict where it does not; then `serve` and the dict-taking function must agree.
    """
    import tensorflow as tf

    with _exact_names_expected():
        loaded = tf.saved_model.load(str(folder))
    by_keyword = not loaded.signatures["serve"].structured_input_signature[0]

    def run(rows: Rows) -> dict[str, np.ndarray]:
        signature = loaded.signatures["serve"]  # held through `loaded`, which owns the variables
        tensors = {name: tf.constant(column) for name, column in rows.items()}
        with _exact_names_expected():
            answers = signature(**tensors) if by_keyword else signature(tensors)
        return {name: answer.numpy() for name, answer in answers.items()}

    return run


@contextlib.contextmanager
def _exact_names_expected() -> Iterator[None]:
    """Silences TensorFlow's note that a name is no Python parameter: the names are exact on purpose."""

    def needed(record: logging.LogRecord) -> bool:
        return "not a valid tf.function parameter name" not in record.getMessage()

    logger = logging.getLogger("absl")
    logger.addFilter(needed)
    try:
        yield
    finally:
        logger.removeFilter(needed)


def callable_by_keyword(names: list[str]) -> bool:
    """Says whether TensorFlow can take these names as keyword arguments of a signature."""
    parameters = [_parameter(name) for name in names]
    return len(set(parameters)) == len(parameters) and all(
        name.isidentifier() and not keyword.iskeyword(name) for name in parameters
    )


def _parameter(name: str) -> str:
    """The Python parameter that TensorFlow makes of a name."""
    plain = "".join(c if c.isalnum() else "_" for c in name)
    return plain if plain[0].isalpha() else "arg_" + plain


def _plain_names(signature: Signature) -> tuple[dict[str, str], dict[str, str]]:
    """Gives names that sort as TensorFlow will sort the real ones when it flattens them."""
    inputs = sorted(value.name for value in signature.inputs)
    if callable_by_keyword(inputs):
        inputs.sort(key=_parameter)
    outputs = sorted(value.name for value in signature.outputs)
    return (
        {name: f"input_{i:06d}" for i, name in enumerate(inputs)},
        {name: f"output_{i:06d}" for i, name in enumerate(outputs)},
    )


def _rename(folder: Path, inputs: dict[str, str], outputs: dict[str, str]) -> None:
    """Puts the real names into the SignatureDefs and into what Python restores them from."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    graph = saved.meta_graphs[0]
    for key in SIGNATURES:
        _replace_keys(graph.signature_def[key].inputs, inputs)
        _replace_keys(graph.signature_def[key].outputs, outputs)
    objects = graph.object_graph_def
    for node in objects.nodes:
        function = node.bare_concrete_function
        if set(function.argument_keywords) == set(inputs):
            function.argument_keywords[:] = [inputs[name] for name in function.argument_keywords]
            function.ClearField("function_spec")
            concrete = objects.concrete_functions[function.concrete_function_name]
            _rename_structure(concrete, inputs, outputs)
    path.write_bytes(saved.SerializeToString(deterministic=True))
    # The fingerprint holds a checksum of the file before the change; loading does without it.
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
