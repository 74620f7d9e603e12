"""Makes FuxiCTR's models and ours on the same columns, and copies the weights of one to the other."""

import importlib.util
import os
import warnings
from collections import OrderedDict
from pathlib import Path

import keras
import numpy as np

import kranking as kr
from kranking.features import as_model_inputs

HOME = os.environ.get("FUXICTR_HOME", "")
FIELDS, DIM, VOCABULARY, ROWS = 4, 6, 9, 16
NAMES = [f"field_{i}" for i in range(FIELDS)]
TASK = [kr.Task("click")]
TASKS = [kr.Task("save"), kr.Task("hide")]


def fuxictr_module(path):
    """Imports one file of the clone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = importlib.util.spec_from_file_location("of_fuxictr", Path(HOME) / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def fuxictr_model(path, name, numbers=(), task="regression", **options):
    """Makes a model of FuxiCTR that gives logits, its weights drawn at random with a variance near one."""
    import torch
    from fuxictr.features import FeatureMap

    feature_map = FeatureMap("oracle", "")
    kinds = {
        **{n: {"type": "categorical", "vocab_size": VOCABULARY, "padding_idx": 0} for n in NAMES},
        **{n: {"type": "numeric"} for n in numbers},
    }
    feature_map.features = OrderedDict((n, {"source": "", **kind}) for n, kind in kinds.items())
    feature_map.num_fields = feature_map.get_num_fields()
    feature_map.default_emb_dim = DIM
    fixed = {"metrics": [], "verbose": 0, "model_root": "", "optimizer": "adam"}
    feature_map.labels = [task.name for task in TASKS]
    model = getattr(fuxictr_module(path), name)(
        feature_map,
        task=task,  # "regression": logits; what the loss is does not matter here
        embedding_dim=DIM,
        loss="binary_crossentropy",
        **fixed,
        **options,
    )
    torch.manual_seed(0)
    for module in model.modules():
        embedding = isinstance(module, torch.nn.Embedding)
        normal = isinstance(module, torch.nn.LayerNorm | torch.nn.BatchNorm1d)
        for key, weight in module.named_parameters(recurse=False):
            if not weight.is_floating_point():  # masks and indices
                continue
            drawn = torch.randn(weight.shape)
            if normal and key == "weight":
                drawn = 1 + 0.3 * drawn
            elif weight.ndim > 1 and not embedding:
                drawn = drawn / np.sqrt(np.prod(weight.shape[-1:] or 1))
            elif not embedding:
                drawn = 0.3 * drawn
            weight.data.copy_(drawn)
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0.0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def inputs(numbers=()):
    random = np.random.default_rng(1)
    rows = {name: random.integers(0, VOCABULARY, ROWS).astype("int32") for name in NAMES}
    given = {**rows, **{name: random.normal(size=ROWS).astype("float32") for name in numbers}}
    return as_model_inputs(given)


def logits_of(model, rows):
    """FuxiCTR's own forward pass; it takes a number as a column."""
    import torch

    given = {n: torch.tensor(v if v.dtype.kind == "i" else v[:, None]) for n, v in rows.items()}
    with torch.no_grad():
        found = model(given)
    if "y_pred" in found:
        return numpy(found["y_pred"])
    return np.concatenate([numpy(found[f"{task.name}_pred"]) for task in TASKS], axis=1)


def numpy(tensor):
    return tensor.detach().numpy().astype("float64")


def features(numbers=()):
    """The same columns; FuxiCTR's vocab_size counts row 0 as our num_rows does."""
    words = tuple(map(str, range(1, VOCABULARY)))
    columns = [kr.features.Categorical(n, vocabulary=words, embedding_dim=DIM) for n in NAMES]
    return [*columns, *(kr.features.Numeric(n, transform="none") for n in numbers)]


def ours(name, numbers=(), tasks=TASK, **options):
    """Makes our model with NaN for every weight: one that is not copied shows."""
    model = getattr(kr.architectures, name)(features(numbers), tasks, **options)
    model.build()
    model.set_weights([np.full(w.shape, np.nan, "float32") for w in model.get_weights()])
    return model


def tables(encoder, layer):
    """Copies FuxiCTR's embedding tables: ours of one width lie one below the other."""
    stacked = [numpy(layer.embedding_layer.embedding_layers[n].weight) for n in NAMES]
    (table,) = encoder.tables
    table.assign(np.concatenate(stacked))


def first_order(mine, layer):
    tables(mine.stack[0].adapters["linear"].encoder, layer)


def dense(mine, linear):
    mine.kernel.assign(numpy(linear.weight).T)
    if mine.use_bias:
        mine.bias.assign(numpy(linear.bias))


def norm(mine, theirs):
    """Copies a LayerNorm or BatchNorm."""
    mine.gamma.assign(numpy(theirs.weight))
    mine.beta.assign(numpy(theirs.bias))
    if hasattr(theirs, "running_mean"):
        mine.moving_mean.assign(numpy(theirs.running_mean))
        mine.moving_variance.assign(numpy(theirs.running_var))


def copy_steps(mine, theirs):
    """Copies Linear to Dense and norm to norm, in order; gives the Linear layers that are left."""
    kinds = ("Linear", "BatchNorm1d", "LayerNorm")
    left = [module for module in theirs if type(module).__name__ in kinds]
    for step in mine:
        step = getattr(step, "projection", step)  # of a FactorizedInteraction
        if isinstance(step, keras.layers.Dense):
            dense(step, left.pop(0))
        elif step.weights:
            norm(step, left.pop(0))
    return left


def mlp(mine, block):
    """Copies an MLP_Block, all but its output layer, which is given back if there is one."""
    return copy_steps(mine.steps, block.mlp)


def deep_part(part, block):
    """Copies the MLP and its logit."""
    (last,) = mlp(part.layers[0], block)
    dense(part.layers[-1], last)


def logit(heads, linear):
    dense(heads.logits[0], linear)


def cross_v2(mine, theirs):
    """Copies a CrossNetV2."""
    for kernel, bias, linear in zip(mine.kernels, mine.biases, theirs.cross_layers):
        kernel.assign(numpy(linear.weight).T)
        bias.assign(numpy(linear.bias))


def wukong_layer(mine, theirs):
    """Copies a layer, all but the residual's bias, which ours has not."""
    dots, first_norm, *rest = mine.fmb
    dots.kernel.assign(numpy(theirs.fmb.proj_Y))
    norm(first_norm, theirs.fmb.layer_norm)
    assert not copy_steps(rest, theirs.fmb.mlp.mlp)
    mine.lcb.kernel.assign(numpy(theirs.lcb.linear.weight).T)
    norm(mine.norm, theirs.layer_norm)
    if mine.residual is not None:
        mine.residual.kernel.assign(numpy(theirs.residual_proj.weight).T)


def stacked(mine, blocks):
    """Copies several MLP_Blocks of equal shape into one stack; our gates' last layer has no bias."""
    chains = [[m for m in block.mlp if type(m).__name__ == "Linear"] for block in blocks]
    for i, step in enumerate(mine.steps):
        step.kernel.assign(np.stack([numpy(chain[i].weight).T for chain in chains]))
        if step.bias is not None:
            step.bias.assign(np.stack([numpy(chain[i].bias) for chain in chains]))
            continue
        for chain in chains:
            chain[i].bias.data.zero_()
