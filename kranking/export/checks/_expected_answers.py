"""What artefacts must take, give and answer, taken off the model: at the export, and of a bundle."""

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
    """A signature, rows for it, and the model's own answers to them.

    Without rows only the interface of an artefact can be checked: there is no model to compare with.
    `tolerance` is that of an ONNX file: one with small weights has its own.
    """

    signature: Signature
    cases: Sequence[Case] = ()
    answers: Sequence[Rows] = ()
    tolerance: float = TOLERANCE

    @property
    def size(self) -> int:
        """The number of rows, of those that are counted by a free axis."""
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
    """Gives by function, the one on model inputs first, what every artefact of it must answer.

    Args:
        model: The model that answers.
        functions: What is served.
        num_rows: Random rows; those at the edges come on top.
        seed: Seed of the random rows.
        given: The caller's own rows, as model inputs.
        log: Columns of a log, for the functions on columns.
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
