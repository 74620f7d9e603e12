"""ONNX implementation of the operations of `features.encode_raw`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

ML_DOMAIN = "ai.onnx.ml"


class Node(NamedTuple):
    """A value of the graph: its name, the dtype of its elements and its last dimension (0: none)."""

    name: str
    dtype: str
    width: int


class OnnxOps:
    """Creates an ONNX node for each operation.

    Args:
        prefix: Prefix of the names of all values, to avoid conflicts with other graphs.

    Attributes:
        nodes: The nodes created so far.
        constants: The constants that they read.
    """

    def __init__(self, prefix: str):
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: dict[Any, Node] = {}
        self._made = 0

    def absolute(self, x: Node) -> Node:
        """Computes `|x|`."""
        return self._apply("Abs", x)

    def sign(self, x: Node) -> Node:
        """Computes the sign: −1, 0 or 1."""
        return self._apply("Sign", x)

    def log(self, x: Node) -> Node:
        """Computes the natural logarithm."""
        return self._apply("Log", x)

    def add(self, x: Any, y: Any) -> Node:
        """Computes `x + y`."""
        return self._apply("Add", x, y)

    def subtract(self, x: Any, y: Any) -> Node:
        """Computes `x − y`."""
        return self._apply("Sub", x, y)

    def multiply(self, x: Any, y: Any) -> Node:
        """Computes `x · y`."""
        return self._apply("Mul", x, y)

    def divide(self, x: Any, y: Any) -> Node:
        """Computes `x / y`; for integers, the quotient without remainder."""
        return self._apply("Div", x, y)

    def floor_mod(self, x: Any, y: Any) -> Node:
        """Computes the remainder with the sign of the divisor."""
        return self._apply("Mod", x, y)

    def minimum(self, x: Any, y: Any) -> Node:
        """Computes the elementwise minimum."""
        return self._apply("Min", x, y)

    def maximum(self, x: Any, y: Any) -> Node:
        """Computes the elementwise maximum."""
        return self._apply("Max", x, y)

    def less(self, x: Any, y: Any) -> Node:
        """Computes `x < y`."""
        return self._apply("Less", x, y, dtype="bool")

    def less_equal(self, x: Any, y: Any) -> Node:
        """Computes `x ≤ y`."""
        return self._apply("LessOrEqual", x, y, dtype="bool")

    def equal(self, x: Any, y: Any) -> Node:
        """Computes `x = y`."""
        return self._apply("Equal", x, y, dtype="bool")

    def logical_or(self, x: Any, y: Any) -> Node:
        """Computes `x or y`."""
        return self._apply("Or", x, y)

    def where(self, condition: Any, x: Any, y: Any) -> Node:
        """Selects `x` where the condition is true, otherwise `y`."""
        return self._apply("Where", condition, x, y, dtype=self._node(x).dtype)

    def cast(self, x: Node, dtype: str) -> Node:
        """Converts the elements to `dtype`."""
        return self._apply("Cast", x, dtype=dtype, to=onnx_type(dtype))

    def column(self, x: Any) -> Node:
        """Reshapes `(batch,)` to `(batch, 1)`."""
        return self._apply("Unsqueeze", x, np.array([1]), width=1)

    def flat(self, x: Any) -> Node:
        """Reshapes `(batch, 1)` to `(batch,)`."""
        return self._apply("Squeeze", x, np.array([1]), width=0)

    def concatenate(self, parts: Sequence[Any]) -> Node:
        """Concatenates matrices along their columns."""
        return self._apply("Concat", *parts, width=sum(part.width for part in parts), axis=1)

    def split(self, x: Any, widths: Sequence[int]) -> list[Node]:
        """Splits the columns of a matrix into parts of these widths."""
        parts = [Node(self._new_name(), x.dtype, width) for width in widths]
        self._append("Split", [x, self._node(np.array(widths))], parts, axis=1)
        return parts

    def total(self, x: Any) -> Node:
        """Computes the sum of each row, `(batch, 1)`."""
        return self._apply("ReduceSum", x, np.array([1]), width=1, keepdims=1)

    def take_along(self, x: Any, positions: Any) -> Node:
        """Returns the values of each row at its positions."""
        return self._apply("GatherElements", x, positions, axis=1)

    def width(self, x: Any) -> int:
        """Returns the last dimension."""
        return x.width

    def numpy_dtype(self, x: Any) -> Any:
        """Returns the NumPy dtype of the elements."""
        return np.dtype(x.dtype)

    def lookup(self, x: Any, vocabulary: tuple[Any, ...]) -> Node:
        """Returns 1 + the position of each value in the vocabulary, 0 for unknown values."""
        text = x.dtype == "string"
        # Runtimes reject an encoder without keys; "" and the smallest integer are never in a vocabulary.
        keys, rows = (vocabulary or (("" if text else -(2**63)),)), range(1, len(vocabulary) + 1)
        named = {"keys_strings" if text else "keys_int64s": list(keys)}
        found = Node(self._new_name(), "int64", x.width)
        self._append(
            "LabelEncoder",
            [x],
            [found],
            domain=ML_DOMAIN,
            default_int64=0,
            values_int64s=list(rows) or [0],
            **named,
        )
        return self.cast(found, "int32")

    def _apply(self, kind: str, *inputs: Any, dtype=None, width=None, **attributes) -> Node:
        values = [self._node(x) for x in inputs]
        first = values[0]
        width = max(v.width for v in values) if width is None else width
        made = Node(self._new_name(), dtype or first.dtype, width)
        self._append(kind, values, [made], **attributes)
        return made

    def _append(self, kind: str, inputs: list[Node], outputs: list[Node], **attributes) -> None:
        from onnx import helper

        taken, given = ([v.name for v in values] for values in (inputs, outputs))
        self.nodes.append(helper.make_node(kind, taken, given, **attributes))

    def _node(self, value: Any) -> Node:
        """Returns a value unchanged, and a number or array as a constant; equal constants are shared."""
        if isinstance(value, Node):
            return value
        from onnx import numpy_helper

        array = np.asarray(value)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._known:
            width = array.shape[-1] if array.ndim == 2 else 0
            self._known[key] = Node(self._new_name(), str(array.dtype), width)
            self.constants.append(numpy_helper.from_array(array, self._known[key].name))
        return self._known[key]

    def _new_name(self) -> str:
        self._made += 1
        return f"{self.prefix}{self._made}"


def onnx_type(dtype: str) -> int:
    """Returns the ONNX element type of a NumPy dtype or `"string"`."""
    from onnx import TensorProto, helper

    return (
        TensorProto.STRING
        if dtype == "string"
        else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    )
