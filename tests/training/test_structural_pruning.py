import keras
import numpy as np
import pytest

import kranking as kr
from kranking.training import StructuralPruning
from kranking.training._structural_pruning import zero_smallest

ROWS, BATCH = 48, 8
STEPS = ROWS // BATCH
TASKS = [kr.Task("save"), kr.Task("hide")]
VALUES = (20, 30, 12)


def features(dim=4):
    return [
        kr.features.Categorical(f"c{i}", vocabulary=tuple(range(n)), embedding_dim=dim)
        for i, n in enumerate(VALUES)
    ]


def deep_light(learning_rate=0.0, linear="field", **kwargs):
    """A model that at a learning rate of 0 changes by pruning alone."""
    keras.utils.set_random_seed(1)
    model = kr.architectures.deep_light(features(), TASKS, linear=linear, units=(8, 6))
    model.compile(keras.optimizers.SGD(learning_rate), weighted_metrics=None, **kwargs)
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:
        if np.ptp(numpy(weight)) == 0:  # a bias of zeros would not show that it was pruned
            weight.assign(random.uniform(0.001, 0.1, weight.shape))
    return model


def data():
    random = np.random.default_rng(2)
    x = {f"c{i}": random.integers(0, n + 1, ROWS).astype("int32") for i, n in enumerate(VALUES)}
    return kr.features.as_model_inputs(x), {
        task.name: random.integers(0, 2, ROWS).astype("float32") for task in TASKS
    }


def numpy(weight):
    return np.asarray(keras.ops.convert_to_numpy(weight.value))


def values(model):
    return {weight.path: numpy(weight).copy() for weight in model.trainable_weights}


def fit(model, *callbacks, epochs, **kwargs):
    x, y = data()
    return model.fit(
        x, y, batch_size=BATCH, epochs=epochs, callbacks=list(callbacks), verbose=0, **kwargs
    )


def zeros(array):
    return float(np.mean(array == 0))


def test_schedule():
    pruning = StructuralPruning(sparsity=0.9)
    assert pruning.sparsity_at(0) == 0.0
    np.testing.assert_allclose(pruning.sparsity_at(100), 0.9 * 0.01)
    np.testing.assert_allclose(pruning.sparsity_at(200), 0.9 * (1 - 0.99**2))
    np.testing.assert_allclose(pruning.sparsity_at(144_000), 0.9, rtol=1e-5)
    fast = StructuralPruning(sparsity=0.5, decay_steps=1)
    np.testing.assert_allclose(fast.sparsity_at(100), 0.5 * (1 - 0.99**100))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("ties", [False, True])
def test_exactly_the_smallest_go(share, ties):
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(shape).astype("float32") for shape in ((7, 3), (5,))]
    if ties:
        arrays = [np.sign(array) for array in arrays]
    weights = [keras.Variable(array) for array in arrays]
    zero_smallest(weights, share)
    before = np.concatenate([array.ravel() for array in arrays])
    after = np.concatenate([numpy(weight).ravel() for weight in weights])
    gone = after == 0
    assert gone.sum() == round(share * 26)
    np.testing.assert_array_equal(after[~gone], before[~gone])
    if gone.any() and not gone.all():
        assert np.abs(before[gone]).max() <= np.abs(before[~gone]).min()


def test_what_is_pruned_and_what_is_not():
    model = deep_light()
    # One short table among the three that share a threshold, and whose rows share one variable.
    table = numpy(model.encoder.tables[0]).copy()
    short = slice(VALUES[0] + 1, VALUES[0] + VALUES[1] + 2)
    table[short] *= 0.01
    model.encoder.tables[0].assign(table)
    before = values(model)
    pruning = StructuralPruning(0.6, warmup_epochs=1, embedding_ratio=0.5, decay_steps=0.1)
    history = fit(model, pruning, epochs=3).history
    assert pruning.step == 2 * STEPS
    reached = 0.6 * (1 - 0.99 ** (2 * STEPS / 0.1))
    np.testing.assert_allclose(pruning.sparsity_at(pruning.step), reached)
    np.testing.assert_allclose(
        history["sparsity"], [0.0, pruning.sparsity_at(STEPS), reached], rtol=1e-6
    )
    wanted = {"fields/embeddings_0_width_4": 0.5, "linear/kernel": 1.0, "pair_weights": 1.0}
    wanted |= {"dense_0/kernel": 1.0, "dense_1/kernel": 1.0}
    seen = set()
    for path, array in values(model).items():
        name = next((name for name in wanted if path.endswith(name)), None)
        if name is None:
            np.testing.assert_array_equal(array, before[path], err_msg=path)
            continue
        seen.add(name)
        assert abs(zeros(array) - wanted[name] * reached) <= 1 / array.size, path
        gone = array == 0
        np.testing.assert_array_equal(array[~gone], before[path][~gone])
        assert np.abs(before[path][gone]).max() <= np.abs(before[path][~gone]).min()
    assert seen == set(wanted)
    table = numpy(model.encoder.tables[0])
    assert zeros(table[short]) > 0.4
    assert zeros(np.delete(table, np.r_[short], axis=0)) < 0.05


def test_report():
    model = deep_light()
    pruning = StructuralPruning(0.5, 0, embedding_ratio=0.8, pair_ratio=2.0, decay_steps=0.01)
    fit(model, pruning, epochs=1)
    report = pruning.report()
    arrays = values(model)
    assert report.pop("model") == pytest.approx(
        sum((a == 0).sum() for a in arrays.values()) / sum(a.size for a in arrays.values())
    )
    assert report.pop("embeddings") == pytest.approx(0.4, abs=0.01)
    assert report == pytest.approx({path: zeros(arrays[path]) for path in report})
    assert len(report) == 4
    assert report[next(path for path in report if path.endswith("pair_weights"))] == 1.0


def test_weights_per_value_stay_and_every_mlp_is_pruned():
    keras.utils.set_random_seed(0)
    heads = kr.layers.SharedBottom(tower_units=(5,))
    blocks = [kr.layers.Parallel([kr.layers.MLP([6]), kr.layers.LinearTerm(use_bias=False)])]
    model = kr.RankingModel(features(), blocks, TASKS, heads=heads)
    model.compile("sgd", weighted_metrics=None)
    pruning = StructuralPruning(0.5, 0, embedding_ratio=0.0, decay_steps=0.01)
    fit(model, pruning, epochs=1)
    shares = {path: zeros(array) for path, array in values(model).items() if "kernel" in path}
    kernels = [share for path, share in shares.items() if "dense_0" in path]
    assert len(kernels) == 3
    assert kernels == pytest.approx([0.5] * 3, abs=0.05)
    assert [share for path, share in shares.items() if "logits" in path] == [0.0, 0.0]
    assert not any(zeros(a) for path, a in values(model).items() if "embeddings" in path)


class Record(keras.callbacks.Callback):
    """Keeps the zeros of the first hidden kernel at the end of every step and of every validation."""

    def __init__(self):
        super().__init__()
        self.steps, self.validations = [], []

    def zeros(self):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        return zeros(numpy(next(w for w in self.model.weights if "dense_0/kernel" in w.path)))

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.zeros())

    def on_test_end(self, logs=None):
        self.validations.append(self.zeros())


def test_weights_grow_again_between_prunings_and_validation_sees_the_pruned_model():
    model, record = deep_light(learning_rate=0.1), Record()
    pruning = StructuralPruning(0.5, 0, interval=4, decay_steps=0.001)
    fit(model, pruning, record, epochs=2, validation_data=data())
    size = 3 * 4 * 8
    # After the 4th and the 8th step; and, before each validation, after the 6th and the 12th.
    for step in (3, 7, 11):
        assert record.steps[step] == pytest.approx(0.5, abs=1 / size)
    for step in (2, 4, 5, 6, 8, 10):
        assert record.steps[step] < 0.25
    assert record.validations == pytest.approx([0.5, 0.5], abs=1 / size)
    model.evaluate(*data(), verbose=0, callbacks=[pruning])
    assert pruning.step == 2 * STEPS


def test_a_training_that_goes_on_prunes_on(tmp_path):
    options = {"sparsity": 0.6, "warmup_epochs": 1, "interval": 2, "decay_steps": 1.0}
    whole, pruning = deep_light(), StructuralPruning(**options)
    fit(whole, pruning, epochs=4)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup", double_checkpoint=False)

    model = deep_light()
    with pytest.raises(KeyboardInterrupt):
        fit(model, StructuralPruning(**options), backup(), Stop(), epochs=4)
    again, later = deep_light(), StructuralPruning(**options)
    fit(again, later, backup(), epochs=4)
    assert later.step == pruning.step == 3 * STEPS
    for ours, theirs in zip(values(again).values(), values(whole).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras's word for an end
def test_streams_of_unknown_length_and_several_steps_at_once():
    x, y = data()

    def stream():
        for start in range(0, ROWS, BATCH):
            part = slice(start, start + BATCH)
            yield {k: v[part] for k, v in x.items()}, {k: v[part] for k, v in y.items()}

    model = deep_light(steps_per_execution=3 if keras.backend.backend() == "tensorflow" else 1)
    first = StructuralPruning(0.6, warmup_epochs=0)
    fit(model, first, epochs=2)
    assert first.step == 2 * STEPS
    second = StructuralPruning(0.6, warmup_epochs=1)
    model.fit(stream(), initial_epoch=2, epochs=3, callbacks=[second], shuffle=False, verbose=0)
    assert second.step == 2 * STEPS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.5}, r"`sparsity` must be a number in \[0, 1\]"),
        ({"warmup_epochs": -1}, r"`warmup_epochs` must be an integer of at least 0"),
        ({"embedding_ratio": 1.2}, r"`embedding_ratio` times `sparsity` must be at most 1"),
        ({"pair_ratio": -1.0}, r"`pair_ratio` must be a number"),
        ({"interval": 0}, r"`interval` must be a positive integer"),
        ({"decay_steps": 0}, r"`decay_steps` must be a number"),
    ],
    ids=str,
)
def test_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        StructuralPruning(**arguments)


def test_rejects_a_model_whose_parts_it_does_not_know():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"requires a kranking.RankingModel"):
        model.fit(np.ones((2, 2)), np.ones(2), callbacks=[StructuralPruning()], verbose=0)
