import keras
import numpy as np
import pytest

from kranking.layers import DLRMInteraction, DotInteraction, FactorizationMachine
from kranking.testing import check_layer


def dots(tokens, with_diagonal=False):
    """The pairs in the order of the authors' two loops."""
    count = tokens.shape[1]
    return np.stack(
        [
            (tokens[:, i] * tokens[:, j]).sum(-1)
            for i in range(count)
            for j in range(i + with_diagonal)
        ],
        axis=1,
    )


def oracle(tokens, weights, config):
    return dots(tokens, config.get("self_interaction", False))


def bottom(numbers, weights, config):
    activation = {"relu": lambda v: np.maximum(v, 0), "tanh": np.tanh}
    hidden = numbers
    for index in range(len(config["bottom_units"]) + 1):
        kernel = weights[f"bottom/dense_{index}/kernel"]
        hidden = hidden @ kernel + weights[f"bottom/dense_{index}/bias"]
        hidden = activation[config.get("activation", "relu")](hidden)
    return hidden


def dlrm_oracle(inputs, weights, config):
    numbers, embeddings = inputs
    first = bottom(numbers, weights, config)
    if config.get("interaction_op") == "cat":
        return np.concatenate([first, embeddings.reshape(len(first), -1)], axis=1)
    tokens = np.concatenate([first[:, None], embeddings], axis=1)
    return np.concatenate([first, dots(tokens, config.get("self_interaction", False))], axis=1)


@pytest.mark.parametrize("config", [{}, {"self_interaction": True}], ids=str)
def test_contract(config):
    check_layer(DotInteraction, config, (5, 4, 3), oracle)


@pytest.mark.parametrize(
    "config",
    [
        {"bottom_units": (6,), "self_interaction": True, "activation": "tanh"},
        {"bottom_units": (), "interaction_op": "cat"},
    ],
    ids=str,
)
def test_contract_of_dlrm(config):
    check_layer(DLRMInteraction, config, [(5, 2), (5, 3, 4)], dlrm_oracle)


@pytest.mark.parametrize(("tokens", "dim"), [(2, 3), (5, 4), (27, 16)])
def test_cost(tokens, dim):
    work = DotInteraction().work((None, tokens, dim))
    assert (work.parameters, work.matmul_flops) == (0, 2 * tokens**2 * dim)
    assert DotInteraction().compute_output_shape((None, tokens, dim)) == (
        None,
        tokens * (tokens - 1) // 2,
    )
    assert DotInteraction(True).compute_output_shape((7, tokens, dim)) == (
        7,
        tokens * (tokens + 1) // 2,
    )


@pytest.mark.parametrize(("numbers", "tokens", "dim"), [(1, 2, 3), (13, 26, 16), (4, 5, 8)])
def test_cost_of_dlrm(numbers, tokens, dim):
    shape = [(None, numbers), (None, tokens, dim)]
    layer = DLRMInteraction((9, 7))
    parameters = (numbers * 9 + 9) + (9 * 7 + 7) + (7 * dim + dim)
    mlp = 2 * (numbers * 9 + 9 * 7 + 7 * dim)
    work = layer.work(shape)
    assert (work.parameters, work.matmul_flops) == (parameters, mlp + 2 * (tokens + 1) ** 2 * dim)
    assert layer.compute_output_shape(shape) == (None, dim + (tokens + 1) * tokens // 2)
    flat = DLRMInteraction((9, 7), interaction_op="cat")
    assert (flat.work(shape).parameters, flat.work(shape).matmul_flops) == (parameters, mlp)
    assert flat.compute_output_shape(shape) == (None, (tokens + 1) * dim)


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_lower_triangle_row_by_row():
    tokens = normal(3, 6, 4)
    gram = tokens @ tokens.transpose(0, 2, 1)
    rows, columns = np.tril_indices(6, -1)
    got = values(DotInteraction()(tokens))
    np.testing.assert_allclose(got, gram[:, rows, columns], rtol=1e-5, atol=1e-5)


def test_the_sum_of_all_pairs_is_a_factorization_machine():
    tokens = normal(4, 7, 5)
    total = values(DotInteraction()(tokens)).sum(axis=1, keepdims=True)
    machine = values(FactorizationMachine()(tokens))
    np.testing.assert_allclose(total, machine, rtol=1e-4, atol=1e-4)


def test_numbers_come_first_and_take_part():
    numbers, embeddings = normal(4, 3), normal(4, 2, 5)
    layer = DLRMInteraction((6,), activation="tanh")
    got = values(layer([numbers, embeddings]))
    first = values(layer.bottom(numbers))
    np.testing.assert_allclose(got[:, :5], first, rtol=1e-5, atol=1e-6)
    # Pairs: (number, first embedding), (number, second), (first, second).
    for place, (a, b) in enumerate(
        [(embeddings[:, 0], first), (embeddings[:, 1], first), (embeddings[:, 1], embeddings[:, 0])]
    ):
        np.testing.assert_allclose(got[:, 5 + place], (a * b).sum(-1), rtol=1e-5, atol=1e-5)


def test_one_token_has_no_pairs():
    with pytest.raises(ValueError, match=r"needs at least two tokens, or `self_interaction=True`"):
        DotInteraction().build((None, 1, 4))
    assert DotInteraction(self_interaction=True).compute_output_shape((None, 1, 4)) == (None, 1)


@pytest.mark.parametrize("shape", [(None, 12), (None, None, 3), (None, 4, None)], ids=str)
def test_wants_tokens(shape):
    with pytest.raises(ValueError, match=r"(known number of tokens|known last dimension)"):
        DotInteraction().build(shape)


@pytest.mark.parametrize("shape", [(None, 3, 4), [(None, 3, 4)] * 2, [(None, 3)] * 3], ids=str)
def test_dlrm_wants_numbers_and_embeddings(shape):
    with pytest.raises(ValueError, match=r"takes numeric features \(batch, n\) and embeddings"):
        DLRMInteraction().build(shape)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"bottom_units": (0,)}, r"`bottom_units` must be a list of positive .*Received"),
        ({"bottom_units": 64}, r"`bottom_units` must be a list of positive .*Received"),
        ({"interaction_op": "sum"}, r"`interaction_op` must be one of .*Received: .*='sum'"),
    ],
    ids=str,
)
def test_rejects(config, message):
    with pytest.raises(ValueError, match=message):
        DLRMInteraction(**config)
