"""Every layer of a model with the shapes that it reads and returns."""

import keras

from kranking.features import Categorical, Numeric, Task
from kranking.layers import MLP, Concatenate, LinearTerm, Parallel, SharedBottom
from kranking.models import RankingModel, walk, without_weights

FEATURES = [
    Categorical("c", hash_buckets=5, embedding_dim=4),
    Numeric("n", mean=0.0, std=1.0),
    Numeric("m", mean=0.0, std=1.0),
]
INPUTS = {"c": (None,), "n": (None,), "m": (None,)}
FIELDS = {"c": (None, 4), "n": (None, 1), "m": (None, 1)}


def numbers_behind(first):
    """A model whose second block reads the numbers beside the output of the first."""
    numbers = keras.Sequential([Concatenate(("numeric",)), MLP([3])])
    blocks = [first, Parallel([keras.layers.Identity(), numbers])]
    return RankingModel(FEATURES, blocks, [Task("save")], heads=SharedBottom())


def test_a_walk_leads_from_the_fields_to_the_heads():
    model = RankingModel(FEATURES, [MLP([8])], [Task("save"), Task("hide")])
    steps = list(walk(model.encoder, model.stack))
    assert [step.layer for step in steps] == [model.encoder, *model.stack]
    assert [step.input_shape for step in steps] == [INPUTS, [FIELDS, INPUTS], (None, 6), (None, 8)]
    assert [step.output_shape for step in steps] == [FIELDS, (None, 6), (None, 8), (None, 2)]


def test_a_later_view_reads_the_inputs_as_well():
    model = numbers_behind(MLP([5]))
    shapes = {
        type(layer).__name__: (given, out) for layer, given, out in walk(model.encoder, model.stack)
    }
    assert shapes["LaterView"] == ([(None, 5), INPUTS], [(None, 5), (None, 2)])
    assert shapes["Parallel"] == ([(None, 5), (None, 2)], (None, 8))


def test_the_encoder_is_left_out_where_no_field_is_read():
    model = numbers_behind(LinearTerm())
    assert [step.layer for step in walk(model.encoder, model.stack)] == model.stack


def test_a_walk_needs_no_weights():
    with without_weights():
        model = numbers_behind(MLP([5]))
    work = model.layer_work()
    assert [layer for layer, _ in work] == [s.layer for s in walk(model.encoder, model.stack)]
    assert not model.built
