import keras
import numpy as np
import pytest
from keras import ops

from kranking.losses import SelfDistillation, TriBCE

ROWS, TASKS = 12, 3


def draw(seed=0):
    """Labels, final logits, two parts' logits."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (ROWS, TASKS)).astype("float32")
    final, deep, shallow = (2 * rng.standard_normal((3, ROWS, TASKS))).astype("float32")
    return y, final, {"deep": deep, "shallow": shallow}


def crossentropy(y, z):
    y, z = np.asarray(y, "float64"), np.asarray(z, "float64")
    return y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, "float64")))


def value(tensor):
    return ops.convert_to_numpy(tensor)


def slope(loss, final, part, y):
    """The gradient at one final logit and one part's logit, by one step of descent each."""

    class Logits(keras.layers.Layer):
        def build(self, input_shape):
            self.final = self.add_weight(shape=(1, 1), initializer="zeros")
            self.part = self.add_weight(shape=(1, 1), initializer="zeros")

        def call(self, inputs):
            final, part = self.final.value, self.part.value
            # Keras warns where there is no gradient at all.
            self.add_loss(ops.sum(loss(inputs, final, {"part": part}) + 0.0 * final))
            return inputs

    layer = Logits()
    model = keras.Sequential([keras.Input((1,)), layer])
    layer.final.assign([[final]])
    layer.part.assign([[part]])
    model.compile(keras.optimizers.SGD(1.0), loss=None, jit_compile=False)
    model.fit(np.full((1, 1), y, "float32"), verbose=0)
    return final - float(value(layer.final)[0, 0]), part - float(value(layer.part)[0, 0])


def test_tri_bce_is_its_equation_for_every_task():
    y, final, parts = draw()
    whole = crossentropy(y, final).mean(0)
    expected = 0.0
    for part in parts.values():
        own = crossentropy(y, part).mean(0)
        expected = expected + np.maximum(0, own - whole) * own
    assert (expected > 0).any()
    np.testing.assert_allclose(value(TriBCE()(y, final, parts)), expected, rtol=1e-5, atol=1e-6)


def test_tri_bce_is_zero_for_parts_that_are_not_behind():
    y, final, _ = draw()
    better = final + 3 * (2 * y - 1)
    parts = {"deep": final, "shallow": better}
    np.testing.assert_array_equal(value(TriBCE()(y, final, parts)), np.zeros(TASKS))


def test_tri_bce_compares_the_rows_that_were_observed():
    y, final, parts = draw()
    weight = np.ones((ROWS, TASKS), "float32")
    weight[::2, 1] = 0.0
    weight[:, 2] = 0.0
    got = value(TriBCE()(y, final, parts, weight))
    alone = value(TriBCE()(y[1::2], final[1::2], {k: v[1::2] for k, v in parts.items()}))
    # The ordinary loss of task 1 is halved as well: it is divided by all rows.
    np.testing.assert_allclose(got[1], alone[1] / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[0], value(TriBCE()(y, final, parts))[0], rtol=1e-6)
    assert got[2] == 0.0
    for scale in (3, 1e-11):  # the means that are compared do not depend on it
        scaled = value(TriBCE()(y, final, parts, scale * weight))
        np.testing.assert_allclose(scaled, scale * got, rtol=1e-5)


@pytest.mark.parametrize("stop", [True, False])
def test_gradient_of_tri_bce(stop):
    """With `L_p > L`: `w σ'`-slopes alone, or with those of `w = L_p - L` beside them."""
    final, part, y = 1.0, -0.5, 1.0
    whole, own = crossentropy(y, final), crossentropy(y, part)
    weight = own - whole
    of_final, of_part = slope(TriBCE(stop_gradient=stop), final, part, y)
    d_final, d_part = sigmoid(final) - y, sigmoid(part) - y
    flows = not stop
    np.testing.assert_allclose(of_final, -flows * own * d_final, atol=1e-6)
    np.testing.assert_allclose(of_part, (weight + flows * own) * d_part, rtol=1e-5)


def test_distillation_is_its_equation():
    y, final, parts = draw()
    teacher = sigmoid(final)
    expected = sum(crossentropy(teacher, part) for part in parts.values())
    got = value(SelfDistillation()(y, final, parts))
    np.testing.assert_allclose(got, expected.mean(0), rtol=1e-5)
    weight = np.random.default_rng(1).integers(0, 3, (ROWS, TASKS)).astype("float32")
    got = value(SelfDistillation(weight=0.5)(y, final, parts, weight))
    np.testing.assert_allclose(got, 0.5 * (weight * expected).mean(0), rtol=1e-5)


def test_distillation_does_not_read_the_labels():
    y, final, parts = draw()
    got, other = (value(SelfDistillation()(labels, final, parts)) for labels in (y, 1 - y))
    np.testing.assert_array_equal(got, other)


def test_gradient_of_distillation_leaves_the_final_logit_alone():
    of_final, of_part = slope(SelfDistillation(), 1.5, -0.5, 1.0)
    assert of_final == 0.0
    np.testing.assert_allclose(of_part, sigmoid(-0.5) - sigmoid(1.5), rtol=1e-5)


@pytest.mark.parametrize("stop", [True, False])
def test_gradient_at_zero(stop):
    """Heads may start at zero, where a maximum inside the cross-entropy would have a kink."""
    assert slope(TriBCE(stop_gradient=stop), 0.0, 0.0, 1.0)[0] == 0.0
    of_part = slope(SelfDistillation(), 2.0, 0.0, 1.0)[1]
    np.testing.assert_allclose(of_part, 0.5 - sigmoid(2.0), rtol=1e-5)


@pytest.mark.parametrize("loss", [TriBCE(), SelfDistillation()], ids=lambda v: type(v).__name__)
def test_saturated_logits_stay_finite(loss):
    y = np.array([[0.0], [1.0]], "float32")
    final = np.array([[300.0], [-300.0]], "float32")
    got = value(loss(y, final, {"a": -final, "b": 2 * final}))
    assert np.isfinite(got).all()


@pytest.mark.parametrize(
    "loss", [TriBCE(stop_gradient=False), SelfDistillation(weight=0.25)], ids=["tri", "distil"]
)
def test_config_round_trip(loss):
    data = keras.saving.serialize_keras_object(loss)
    assert data["registered_name"] == f"kranking>{type(loss).__name__}"
    again = keras.saving.deserialize_keras_object(data)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


def test_rejects():
    with pytest.raises(ValueError, match=r"`weight` must be a number in .*Received: weight=-1"):
        SelfDistillation(weight=-1)
