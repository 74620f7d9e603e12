import numpy as np
import pytest

from kranking.export import ExportError
from kranking.export._rows import Case
from kranking.export.checks._reference import compare


def compared(received, expected):
    case = Case("random", {"x": np.zeros(len(expected), "float32")})
    received = np.asarray(received, "float32")[:, None]
    expected = np.asarray(expected, "float32")[:, None]
    return compare("onnx", [{"click": received}], [case], [{"click": expected}])


def test_largest_difference():
    assert compared([0.5, 0.25 + 4e-6], [0.5, 0.25]) == pytest.approx(4e-6, rel=0.1)


def test_rows_that_cannot_be_compared_are_left_out():
    assert compared([0.5, 0.9], [0.5, np.nan]) == 0.0


@pytest.mark.parametrize("wrong", [0.2501, np.nan, np.inf])
def test_differences_are_refused(wrong):
    with pytest.raises(ExportError, match="task `click` on row 1 of the check rows 'random'"):
        compared([0.5, wrong], [0.5, 0.25])


def test_shape_is_refused():
    with pytest.raises(ExportError, match=r"float32 of shape \(2, 1\) .*shape \(1, 1\)"):
        compared([0.5], [0.5, 0.25])
