"""Names, dtypes and shapes of the inputs and outputs of a served function."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kranking.export._error import ExportError
from kranking.models import RankingModel

BATCH = "batch"
DTYPES = ("int32", "float32")


@dataclasses.dataclass(frozen=True)
class Value:
    """A named input or output; `shape` excludes the first axis, which is `axis` (a name or a size)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    axis: str | int = BATCH

    @property
    def rows(self) -> int | None:
        """Size of the first axis, `None` if it is dynamic."""
        return None if isinstance(self.axis, str) else self.axis

    def to_json(self) -> dict[str, Any]:
        """Returns the value as written to the manifest, with the first axis in its shape."""
        return {"name": self.name, "dtype": self.dtype, "shape": [self.axis, *self.shape]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Value":
        """Creates an instance from the output of `to_json`."""
        return cls(value["name"], value["dtype"], tuple(value["shape"][1:]), value["shape"][0])


@dataclasses.dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a served function."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the signature as written to the manifest."""
        return {
            "inputs": [value.to_json() for value in self.inputs],
            "outputs": [value.to_json() for value in self.outputs],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Signature":
        """Creates an instance from the output of `to_json`."""
        return cls(
            tuple(map(Value.from_json, value["inputs"])),
            tuple(map(Value.from_json, value["outputs"])),
        )

    @classmethod
    def of(cls, model: Any) -> "Signature":
        """Returns the signature of a ranking model: one input per model input, one output per task."""
        if not isinstance(model, RankingModel):
            raise ValueError(
                "`model` must be a RankingModel or the path of one saved as `.keras`. "
                f"Received: model of type {type(model).__name__}"
            )
        inputs = tuple(
            Value(name, str(spec.dtype), tuple(spec.shape))
            for name, spec in model.preprocessor.inputs.items()
        )
        outputs = tuple(Value(task.name, "float32", (1,)) for task in model.tasks)
        signature = cls(inputs, outputs)
        signature.check()
        return signature

    def check(self) -> None:
        """Raises `ExportError` if no artefact can have this signature."""
        for value in self.inputs:
            if value.dtype not in DTYPES:
                raise ExportError(
                    f"Input `{value.name}` must have one of the dtypes {list(DTYPES)} to be served. "
                    f"Received: dtype={value.dtype!r}"
                )
        both = {value.name for value in self.inputs} & {value.name for value in self.outputs}
        if both:
            # Names of values are unique in an ONNX graph: the output would be the input itself.
            raise ExportError(
                "Tasks and model inputs must have different names, because names are unique in an ONNX "
                f"graph. Received: {sorted(both)} as both. Rename the task and set its column by `label`."
            )
