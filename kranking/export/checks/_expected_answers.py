"""Expected inputs, outputs and answers of artefacts, computed with the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kranking.export._parity import TOLERANCE
from kranking.export._rows import Case, Rows
from kranking.export.checks._reference import raw_reference, reference
from kranking.export.functions._cases import make_cases
from kranking.export.functions._raw_rows import raw_cases
from kranking.export.functions._served_function import IDS, ServedFunction
from kranking.export.functions._signature import Signature


@dataclass(frozen=True)
class ExpectedAnswers:
    """A signature, rows for it, and the outputs of the model on these rows.

    Without rows, as there is no model to compare with, only the interface of an artefact is checked.
    `tolerance` applies to the ONNX file, and is larger for low-precision weights.
    """

    signature: Signature
    cases: Sequence[Case] = ()
    answers: Sequence[Rows] = ()
    tolerance: float = TOLERANCE

    @property
    def size(self) -> int:
        """Number of rows of the inputs that have a dynamic first axis."""
        counted = next(v.name for v in self.signature.inputs if v.rows is None)
        return sum(len(case.rows[counted]) for case in self.cases)


def expected_answers(
    model: Any,
    functions: Sequence[ServedFunction],
    num_rows: int,
    seed: int,
    given: Mapping[str, Any] | None = None,
    log: Mapping[str, Any] | None = None,
) -> dict[str, ExpectedAnswers]:
    """Computes the expected answers of the artefacts by function, the one on model inputs first.

    Args:
        model: The model.
        functions: The served functions.
        num_rows: Number of random rows; rows with extreme values are added.
        seed: Seed of the random rows.
        given: Additional rows of the caller, as model inputs.
        log: Additional columns of a log, for the functions on columns.
    """
    signature = functions[0].signature
    cases = make_cases(signature, num_rows, seed, given)
    expectations = {IDS: ExpectedAnswers(signature, cases, reference(model, cases))}
    found = raw_cases(functions, model.features, num_rows, seed, log)
    for function in functions[1:]:
        cases, inputs = zip(*found[function.name])
        answers = raw_reference(model, function.name, inputs)
        expectations[function.name] = ExpectedAnswers(function.signature, cases, answers)
    return expectations
