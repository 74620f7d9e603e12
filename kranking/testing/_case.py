"""A layer under test: how to create it and its inputs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

Arrays = Any  # an array, or a list of arrays for a layer with several inputs


@dataclass(frozen=True)
class Case:
    """A layer class with its constructor arguments and its inputs."""

    cls: type
    config: Any
    input_shape: Any
    make_inputs: Callable[[np.random.Generator, int], Arrays] | None
    tolerance: float
    idle: tuple[str, ...]

    @property
    def batch(self) -> int:
        """Returns the number of rows in a batch of inputs."""
        return self.shapes[0][0]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Returns the shapes of the inputs as a list."""
        many = isinstance(self.input_shape, list)
        return [tuple(s) for s in self.input_shape] if many else [tuple(self.input_shape)]

    def arguments(self) -> dict[str, Any]:
        """Returns the constructor arguments, with new layers if `config` is a callable."""
        made = self.config() if callable(self.config) else self.config
        return {**made}  # pyright: ignore

    def layer(self, **kwargs) -> Any:
        """Creates a layer without building it."""
        return self.cls(**self.arguments(), **kwargs)

    def built(self) -> Any:
        """Creates a built layer whose constant weights, such as zero biases, are perturbed.

        A bias that is added twice, or lost in a file, is noticed only if it is not 0.
        """
        layer = self.layer()
        layer.build(self.build_shape())
        random = np.random.default_rng(1)
        for weight in layer.weights:
            value = to_numpy(weight)
            if value.dtype.kind == "f" and value.size and np.ptp(value) == 0:
                # Positive, since a variance may be among them.
                weight.assign(value + random.uniform(0.05, 0.25, value.shape).astype(value.dtype))
        return layer

    def build_shape(self, batch: int | None = None) -> Any:
        """Returns the argument of `build`; the batch axis is unknown unless `batch` is given."""
        shapes = [(batch, *shape[1:]) for shape in self.shapes]
        return shapes if isinstance(self.input_shape, list) else shapes[0]

    def inputs(self, batch: int | None = None, seed: int = 0) -> Arrays:
        """Returns random inputs: standard normal, or the output of `make_inputs`."""
        random = np.random.default_rng(seed)
        batch = self.batch if batch is None else batch
        if self.make_inputs is not None:
            return self.make_inputs(random, batch)
        shapes = [(batch, *shape[1:]) for shape in self.shapes]
        arrays = [random.standard_normal(shape).astype("float32") for shape in shapes]
        return arrays if isinstance(self.input_shape, list) else arrays[0]

    def symbols(self) -> Any:
        """Returns symbolic inputs with the shapes and dtypes of the arrays and an unknown batch axis."""
        return keras.tree.map_structure(
            lambda a: keras.Input(a.shape[1:], dtype=str(a.dtype)), self.inputs(1)
        )

    def require(self, holds: bool, check: str, message: str) -> None:
        """Raises `AssertionError` with the names of the class and the check unless `holds`."""
        if not holds:
            raise AssertionError(f"{self.cls.__name__} fails the check {check!r}: {message}")

    def attempt(self, check: str, message: str, action: Callable[[], Any]) -> Any:
        """Returns the result of `action`; raises its exceptions as an `AssertionError` of the check."""
        try:
            return action()
        except Exception as error:
            # Keras colors its messages and wraps the original exception.
            text = re.sub(r"\x1b\[\d+m", "", str(error.__context__ or error))
            reason = " ".join(text.split())[:300]
            raise AssertionError(
                f"{self.cls.__name__} fails the check {check!r}: {message}: {reason}"
            ) from error


def to_numpy(tensor: Any) -> np.ndarray:
    """Converts a tensor or a variable to an array; half precision becomes float32."""
    value = tensor.value if hasattr(tensor, "assign") else tensor
    if keras.backend.standardize_dtype(value.dtype) in ("bfloat16", "float16"):
        value = keras.ops.cast(value, "float32")
    return np.asarray(keras.ops.convert_to_numpy(value))


def run(layer: Any, inputs: Arrays) -> list[np.ndarray]:
    """Calls a layer in inference mode and returns its outputs as a list of arrays."""
    return [to_numpy(tensor) for tensor in keras.tree.flatten(layer(inputs))]


def paths(layer: Any) -> dict[str, Any]:
    """Returns the weights by their path below the layer, in creation order."""
    named = {}
    for weight in layer.weights:
        _, _, path = weight.path.partition(f"{layer.name}/")
        path = path or weight.path
        # Children with the same name would overwrite each other.
        while path in named:
            path += "'"
        named[path] = weight
    return named


def far(got: np.ndarray, wanted: np.ndarray, tolerance: float) -> str:
    """Describes how two arrays differ beyond `tolerance · (1 + |wanted|)`; empty if they do not."""
    if got.shape != wanted.shape:
        return f"expected shape {wanted.shape}, received {got.shape}"
    excess = np.abs(got - wanted) - tolerance * (1 + np.abs(wanted))
    if got.size == 0 or np.max(excess) <= 0:  # NaN compares false
        return ""
    worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), got.shape)
    place = tuple(int(i) for i in worst)
    return f"expected {wanted[worst]:.8g} at {place}, received {got[worst]:.8g}"
