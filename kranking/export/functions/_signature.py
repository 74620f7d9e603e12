"""What a served model takes and gives, by name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kranking.export._error import ExportError
from kranking.models import RankingModel

BATCH = "batch"
DTYPES = ("int32", "float32")


@dataclasses.dataclass(frozen=True)
class Value:
    """One named input or output; `shape` is without the first axis, `axis` says what that one is."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    axis: str | int = BATCH

    @property
    def rows(self) -> int | None:
        """The length of the first axis, `None` if it is free."""
        return None if isinstance(self.axis, str) else self.axis

    def to_json(self) -> dict[str, Any]:
        """Gives the value as the manifest writes it, with the batch axis spelled out."""
        return {"name": self.name, "dtype": self.dtype, "shape": [self.axis, *self.shape]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Value":
        """Reads what `to_json` wrote."""
        return cls(value["name"], value["dtype"], tuple(value["shape"][1:]), value["shape"][0])


@dataclasses.dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a served function."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    def to_json(self) -> dict[str, Any]:
        """Gives the signature as the manifest writes it."""
        return {
            "inputs": [value.to_json() for value in self.inputs],
            "outputs": [value.to_json() for value in self.outputs],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Signature":
        """Reads what `to_json` wrote."""
        return cls(
            tuple(map(Value.from_json, value["inputs"])),
            tuple(map(Value.from_json, value["outputs"])),
        )

    @classmethod
    def of(cls, model: Any) -> "Signature":
        """Reads the signature off a ranking model: features' names in, tasks' names out."""
        if not isinstance(model, RankingModel):
            raise ValueError(
                "`model` should be a RankingModel or the path of one saved as `.keras`. "
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
        """Raises if no artefact could carry it."""
        for value in self.inputs:
            if value.dtype not in DTYPES:
                raise ExportError(
                    f"Input `{value.name}` should be one of {list(DTYPES)} to be served. "
                    f"Received: dtype={value.dtype!r}"
                )
        both = {value.name for value in self.inputs} & {value.name for value in self.outputs}
        if both:
            # In ONNX a graph's value has one name: the output *would be* the input.
            raise ExportError(
                "A task should not share its name with a model input: ONNX cannot tell them apart. "
                f"Received: {sorted(both)}. Rename the task and name its column by `label`."
            )
