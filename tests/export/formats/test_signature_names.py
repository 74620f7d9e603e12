import numpy as np
import pytest

from kranking.export.formats._onnx import check_size
from kranking.export.formats._saved_model import (
    callable_by_keyword,
    load_saved_model,
    run_saved_model,
    write_saved_model,
)
from kranking.export.functions._signature import Signature, Value


@pytest.mark.parametrize(
    ("names", "callable_"),
    [
        (["a", "watched.action", "with space", "naïve é 漢字", "9x"], True),
        (["a", "class"], False),
        (["a/b", "a_b"], False),
        (["x²"], False),
    ],
    ids=str,
)
def test_saved_model_takes_any_names(tmp_path, names, callable_):
    import tensorflow as tf

    assert callable_by_keyword(names) is callable_
    signature = Signature(
        tuple(Value(name, "float32", (i + 1,)) for i, name in enumerate(names)),
        (Value("z", "float32", (1,)), Value("b c", "float32", (1,))),
    )
    factor = tf.Variable(2.0)

    def serve(inputs):
        total = sum(
            (i + 1) * tf.reduce_sum(inputs[name], -1, keepdims=True) for i, name in enumerate(names)
        )
        return {"z": total * factor, "b c": -total}

    write_saved_model({"serve": (serve, signature)}, [factor], {}, tmp_path)
    rng = np.random.default_rng(0)
    rows = {v.name: rng.random((3, *v.shape), "float32") for v in signature.inputs}
    expected = sum((i + 1) * rows[name].sum(-1, keepdims=True) for i, name in enumerate(names))
    loaded = load_saved_model(tmp_path)
    answers = run_saved_model(loaded)(rows)
    np.testing.assert_allclose(answers["z"], 2 * expected, rtol=1e-6)
    np.testing.assert_allclose(answers["b c"], -expected, rtol=1e-6)

    structure = loaded.signatures["serve"].structured_input_signature
    assert set(structure[1] if callable_ else structure[0][0]) == set(names)


def test_a_model_too_large_for_one_file():
    check_size(10**9)
    with pytest.raises(
        RuntimeError, match=r"less than 2 GiB of weights. Received: a model of 2.00 GiB"
    ):
        check_size(2**31)
