"""An ONNX graph with its weights in 16 or 8 bits; all that is no product stays float32."""

from collections.abc import Iterator
from typing import Any

import numpy as np

WEIGHTS = ("float16", "int8")

_SMALLEST = 1024  # elements: a smaller constant costs more in operators than it saves in bytes
# Of a product in int8: rounding rows and scaling sums takes ten operators, more than a smaller one saves.
_LEAST_KERNEL, _NARROWEST = 65_536, 64
_SHORTEST = 8  # width of a table in int8: a row's scale takes 4 bytes
_LEVELS = 127
# Processors without VNNI add pairs of products in 16 bits: 2 · 255 · 127 would overflow, and answers would
# depend on the processor.
_KERNEL_LEVELS = 63


def with_small_weights(model: Any, weights: str) -> Any:
    """Gives a copy of an ONNX model whose large constants take 2 bytes, or 1, instead of 4.

    `"float16"` changes how weights are kept: they are widened before they are used. `"int8"` computes
    `x W` as `(x̂ Ŵ) · sₓ · s_w`: `Ŵ` are integers with a scale for each column, `x̂ = round(x / sₓ)` with a
    scale for each row, `sₓ = max |x| / 127`. A scale for a whole batch, as ONNX's DynamicQuantizeLinear
    takes it, would let a row's answer depend on the rows beside it. Tables are kept as integers with a
    scale for each row; what is neither is kept as float16.

    Args:
        model: An `onnx.ModelProto` of opset 17 or 18.
        weights: `"float16"` or `"int8"`.
    """
    made = type(model).FromString(model.SerializeToString())
    _Writer(made, weights).write()
    return made


class _Writer:
    """Changes one graph in place: nodes are written anew, in order, and constants as they are asked for."""

    def __init__(self, model: Any, weights: str):
        from onnx import numpy_helper

        self.graph = model.graph
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.in_bytes = weights == "int8"
        self.kept = {c.name: c for c in self.graph.initializer}
        self.large = {
            name: numpy_helper.to_array(constant)
            for name, constant in self.kept.items()
            if constant.data_type == constant.FLOAT and np.prod(constant.dims) >= _SMALLEST
        }
        self.nodes: list[Any] = []
        self.made: dict[str, Any] = {}

    def write(self) -> None:
        old = list(self.graph.node)
        for node in old:
            self.nodes += self._instead_of(node)
        used = {name for node in self.nodes for name in node.input}
        widened = [name for name in self.large if name in used]
        first = [node for name in widened for node in self._widened(name)]
        constants = [c for name, c in self.kept.items() if name not in self.large]
        narrowed = {node.output[0] for node in first}
        constants += [self.kept[name] for name in widened if name not in narrowed]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(first + self.nodes)
        self.graph.initializer.extend([*constants, *self.made.values()])

    def _instead_of(self, node: Any) -> Iterator[Any]:
        weight = (
            self.large.get(node.input[0 if node.op_type == "Gather" else -1])
            if node.input
            else None
        )
        if node.op_type == "Gather" and weight is not None and _axis(node) == 0:
            yield from self._gather(node, weight)
        elif (
            node.op_type == "MatMul" and self.in_bytes and weight is not None and _is_kernel(weight)
        ):
            yield from self._product(node, weight)
        else:
            yield node

    def _gather(self, node: Any, table: np.ndarray) -> Iterator[Any]:
        """Looks rows up while they are small, and widens those alone."""
        name, rows, output = node.input[0], node.input[1], node.output[0]
        if self.in_bytes and table.ndim == 2 and table.shape[1] >= _SHORTEST:
            scale = _scale(table, 1, _LEVELS)
            small = self._constant(f"{name}/int8", _integers(table, scale))
            scales = self._constant(f"{name}/scale", scale)
            yield _node("Gather", [small, rows], f"{output}/int8")
            yield _node("Cast", [f"{output}/int8"], f"{output}/levels", to=1)
            yield _node("Gather", [scales, rows], f"{output}/scale")
            yield _node("Mul", [f"{output}/levels", f"{output}/scale"], output)
        elif _fits_half(table):
            small = self._constant(f"{name}/float16", table.astype(np.float16))
            yield _node("Gather", [small, rows], f"{output}/float16")
            yield _node("Cast", [f"{output}/float16"], output, to=1)
        else:
            yield node

    def _product(self, node: Any, kernel: np.ndarray) -> Iterator[Any]:
        name, x, output = node.input[1], node.input[0], node.output[0]
        scale = _scale(kernel, 0, _KERNEL_LEVELS)
        small = self._constant(f"{name}/int8", _integers(kernel, scale))
        scales = self._constant(f"{name}/scale", scale[0])
        one = self._constant("small/one", np.float32(1))
        levels = self._constant("small/levels", np.float32(_LEVELS))
        least = self._constant("small/least", np.float32(1e-30))  # a row of zeros stays one
        middle = self._constant("small/middle", np.uint8(128))
        yield _node("Abs", [x], f"{output}/abs")
        yield self._largest(f"{output}/abs", f"{output}/largest")
        yield _node("Max", [f"{output}/largest", least], f"{output}/positive")
        yield _node("Div", [levels, f"{output}/positive"], f"{output}/rate")
        yield _node("Mul", [x, f"{output}/rate"], f"{output}/scaled")
        yield _node("QuantizeLinear", [f"{output}/scaled", one, middle], f"{output}/levels")
        yield _node("MatMulInteger", [f"{output}/levels", small, middle], f"{output}/integers")
        yield _node("Cast", [f"{output}/integers"], f"{output}/sums", to=1)
        yield _node("Mul", [f"{output}/sums", scales], f"{output}/columns")
        yield _node("Div", [f"{output}/columns", f"{output}/rate"], output)

    def _largest(self, values: str, output: str) -> Any:
        if self.opset < 18:
            return _node("ReduceMax", [values], output, axes=[-1], keepdims=1)
        last = self._constant("small/last", np.array([-1]))
        return _node("ReduceMax", [values, last], output, keepdims=1)

    def _widened(self, name: str) -> Iterator[Any]:
        """Keeps a constant as float16; a runtime widens it once, when it loads the graph."""
        if _fits_half(self.large[name]):
            small = self._constant(f"{name}/float16", self.large[name].astype(np.float16))
            yield _node("Cast", [small], name, to=1)

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        if name not in self.made:
            self.made[name] = numpy_helper.from_array(np.asarray(value), name)
        return name


def _node(operator: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(operator, inputs, [output], name=output, **attributes)


def _axis(node: Any) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), 0)


def _is_kernel(weight: np.ndarray) -> bool:
    wide = weight.ndim == 2 and min(weight.shape) >= _NARROWEST and weight.size >= _LEAST_KERNEL
    return wide and bool(np.isfinite(weight).all())


def _fits_half(weight: np.ndarray) -> bool:
    return bool(np.abs(weight).max() <= np.finfo(np.float16).max)


def _scale(weight: np.ndarray, axis: int, levels: int) -> np.ndarray:
    largest = np.abs(weight).max(axis, keepdims=True)
    return np.where(largest > 0, largest / levels, 1).astype(np.float32)


def _integers(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.rint(weight / scale).astype(np.int8)
