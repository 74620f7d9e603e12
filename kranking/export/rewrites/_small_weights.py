"""Conversion of the weights of an ONNX graph to 16 or 8 bits; only large products use integers."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kranking.export.rewrites._nodes import axis_of, read_by

WEIGHTS = ("float16", "int8")

_SMALLEST = (
    1024  # elements: for smaller constants, additional operators cost more than the bytes saved
)
# Smallest int8 product: quantizing rows and scaling sums takes ten operators, too many for smaller ones.
_LEAST_KERNEL, _NARROWEST = 65_536, 64
# Bytes of a table in float32. Smaller ones are converted when a graph is loaded: a lookup takes one more
# operator in float16, and three more in int8.
_SMALLEST_TABLE = 2**20
_SHORTEST = 8  # width of a table in int8: the scale of a row takes 4 bytes
_LEVELS = 127
# Processors without VNNI add pairs of products in 16 bits: 2 · 255 · 127 would overflow, and results would
# depend on the processor.
_KERNEL_LEVELS = 63


def with_small_weights(model: Any, weights: str) -> Any:
    """Returns a copy of an ONNX model whose large constants take 2 bytes or 1 byte per element.

    `"float16"` only changes the storage: weights are converted to float32 before they are used. `"int8"`
    computes `x W` as `(x̂ Ŵ) · sₓ · s_w`, where `Ŵ` are integers with one scale `s_w` per column, and
    `x̂ = round(x / sₓ)` with one scale per row, `sₓ = max |x| / 127`. With one scale per batch, as in
    DynamicQuantizeLinear of ONNX, the output for a row would depend on the other rows. Tables of 1 MiB or
    more are stored as integers with one scale per row, all other large constants as float16. For a row
    with NaN or infinity, the output is NaN.

    Args:
        model: An `onnx.ModelProto` of opset 17 or 18.
        weights: `"float16"` or `"int8"`.
    """
    made = type(model)()
    made.CopyFrom(model)  # serialization would limit it to 2 GiB
    _Writer(made, weights).write()
    return made


class _Writer:
    """Rewrites a graph in place: nodes in order, and constants when they are needed."""

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
        self.prefix = _unused_prefix(self.graph)
        self.nodes: list[Any] = []
        self.made: dict[str, Any] = {}

    def write(self) -> None:
        """Replaces the nodes and constants of the graph."""
        for node in list(self.graph.node):
            self.nodes += self._instead_of(node)
        used = {name for node in self.nodes for name in read_by(node)}
        used |= {output.name for output in self.graph.output}
        widened = [name for name in self.large if name in used]
        first = [node for name in widened for node in self._widen(name)]
        narrowed = {node.output[0] for node in first}
        constants = [c for name, c in self.kept.items() if name not in self.large]
        constants += [self.kept[name] for name in widened if name not in narrowed]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(first + self.nodes)
        self.graph.initializer.extend([*constants, *self.made.values()])

    def _instead_of(self, node: Any) -> Iterator[Any]:
        position = {"Gather": 0, "MatMul": 1}.get(node.op_type)
        weight = None if position is None else self.large.get(node.input[position])
        if weight is None:
            yield node
        elif node.op_type == "Gather":
            yield from self._gather(node, weight) if axis_of(node) == 0 else [node]
        else:
            yield from self._product(node, weight) if self._pays(weight) else [node]

    def _pays(self, kernel: np.ndarray) -> bool:
        large = kernel.size >= _LEAST_KERNEL and min(kernel.shape) >= _NARROWEST
        return self.in_bytes and kernel.ndim == 2 and large and bool(np.isfinite(kernel).all())

    def _gather(self, node: Any, table: np.ndarray) -> Iterator[Any]:
        """Looks up low-precision rows and converts only these to float32."""
        name, rows, output = node.input[0], node.input[1], node.output[0]
        if table.nbytes < _SMALLEST_TABLE:
            yield node
            return
        wide = table.ndim == 2 and table.shape[1] >= _SHORTEST and bool(np.isfinite(table).all())
        if self.in_bytes and wide:
            scale = _scale(table, 1, _LEVELS)
            small = self._constant(f"{name}/rows", _integers(table, scale))
            scales = self._constant(f"{name}/scale of rows", scale)
            found = self._node("Gather", [small, rows], f"{output}/small")
            levels = self._node("Cast", [found.output[0]], f"{output}/levels", to=1)
            scaled = self._node("Gather", [scales, rows], f"{output}/scale")
            yield from (found, levels, scaled)
            yield _node("Mul", [levels.output[0], scaled.output[0]], output)
        elif _fits_half(table):
            found = self._node("Gather", [self._half(name), rows], f"{output}/small")
            yield found
            yield _node("Cast", [found.output[0]], output, to=1)
        else:
            yield node

    def _product(self, node: Any, kernel: np.ndarray) -> Iterator[Any]:
        name, x, output = node.input[1], node.input[0], node.output[0]
        scale = _scale(kernel, 0, _KERNEL_LEVELS)
        small = self._constant(f"{name}/columns", _integers(kernel, scale))
        scales = self._constant(f"{name}/scale of columns", scale[0])
        one = self._constant("one", np.float32(1))
        most = self._constant("levels", np.float32(_LEVELS))
        least = self._constant("least", np.float32(1e-30))  # avoids 0 / 0 for a row of zeros
        middle = self._constant("middle", np.uint8(128))
        last = self._constant("last axis", np.array([-1]))
        made: list[Any] = []

        def step(operator: str, *inputs: str, **attributes: Any) -> str:
            made.append(self._node(operator, inputs, f"{output}/{len(made)}", **attributes))
            return made[-1].output[0]

        size = step("Abs", x)
        if self.opset < 18:
            largest = step("ReduceMax", size, axes=[-1], keepdims=1)
        else:
            largest = step("ReduceMax", size, last, keepdims=1)
        # Max may ignore NaN, and integers have no NaN or infinity; a sum minus itself is NaN for both.
        total = step("ReduceSum", size, last, keepdims=1)
        positive = step("Add", step("Max", largest, least), step("Sub", total, total))
        rate = step("Div", most, positive)
        levels = step("QuantizeLinear", step("Mul", x, rate), one, middle)
        sums = step("Cast", step("MatMulInteger", levels, small, middle), to=1)
        scaled = step("Mul", sums, scales)
        yield from made
        yield _node("Div", [scaled, rate], output)

    def _widen(self, name: str) -> Iterator[Any]:
        """Stores a constant as float16; a runtime converts it once, when it loads the graph."""
        if _fits_half(self.large[name]):
            yield _node("Cast", [self._half(name)], name, to=1)

    def _half(self, name: str) -> str:
        return self._constant(f"{name}/half", self.large[name].astype(np.float16))

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        name = f"{self.prefix}/{name}"
        if name not in self.made:
            self.made[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def _node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
        return _node(operator, inputs, f"{self.prefix}/{output}", **attributes)


def _unused_prefix(graph: Any) -> str:
    names = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    names |= {name for node in graph.node for name in (*read_by(node), *node.output)}
    prefix = "small"
    while any(name.startswith(f"{prefix}/") for name in names):
        prefix += "_"
    return prefix


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(operator, inputs, [output], name=output, **attributes)


def _fits_half(weight: np.ndarray) -> bool:
    return bool(np.abs(weight).max() <= np.finfo(np.float16).max)


def _scale(weight: np.ndarray, axis: int, levels: int) -> np.ndarray:
    largest = np.abs(weight).max(axis, keepdims=True)
    return np.where(largest > 0, largest / levels, 1).astype(np.float32)


def _integers(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.rint(weight / scale).astype(np.int8)
