"""FuxiCTR's models and ours give equal logits with equal weights; README.md says how to run this.

FuxiCTR's wheel holds few of its models: a clone's path comes from the environment variable FUXICTR_HOME.
Whole models are compared, embedding tables included: FuxiCTR's class is made as it stands, its weights are
drawn at random, and each is copied by name. Where the two differ, which each test says, ours is configured
as theirs, or theirs loses what ours has not, and nothing else changes. Parameters are counted too.
"""

import sys

import keras
import numpy as np
import pytest
from fuxictr_weights import (
    DIM,
    FIELDS,
    HOME,
    NAMES,
    ROWS,
    TASKS,
    copy_steps,
    cross_v2,
    deep_part,
    dense,
    first_order,
    fuxictr_model,
    fuxictr_module,
    inputs,
    logit,
    logits_of,
    mlp,
    norm,
    numpy,
    ours,
    stacked,
    tables,
    wukong_layer,
)

import kranking as kr

pytestmark = [
    pytest.mark.skipif(not HOME, reason="needs FUXICTR_HOME, the path of a clone of reczoo/FuxiCTR"),
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="FuxiCTR is torch"),
]  # fmt: skip
NUMBERS = ["age", "price"]


@pytest.fixture(scope="module", autouse=True)
def _path():
    """Makes `import fuxictr` find the clone."""
    sys.path.insert(0, HOME)
    yield
    sys.path.remove(HOME)


def same_logits(compare, label, mine, theirs, numbers=(), more=0):
    """Compares logits, and the number of parameters, of which FuxiCTR has `more`."""
    rows = inputs(numbers)
    count = sum(int(np.prod(w.shape)) for w in mine.trainable_weights)
    assert sum(w.numel() for w in theirs.parameters() if w.requires_grad) == count + more
    found = [keras.ops.convert_to_numpy(logit) for logit in mine(rows).values()]
    compare(label, np.concatenate(found, axis=1), logits_of(theirs, rows))


def test_logistic_regression(compare):
    """No difference."""
    theirs = fuxictr_model("model_zoo/LR/src/LR.py", "LR")
    mine = ours("lr")
    first_order(mine, theirs.lr_layer.embedding_layer)
    mine.blocks[0].bias.assign(numpy(theirs.lr_layer.bias))
    same_logits(compare, "LR", mine, theirs)


def test_factorization_machine(compare):
    """No difference: FuxiCTR's bias is in its LR layer."""
    theirs = fuxictr_model("model_zoo/FM/src/FM.py", "FM")
    mine = ours("fm")
    tables(mine.encoder, theirs.embedding_layer)
    first_order(mine, theirs.fm.lr_layer.embedding_layer)
    mine.blocks[0].branches[0].bias.assign(numpy(theirs.fm.lr_layer.bias))
    same_logits(compare, "FM", mine, theirs)


@pytest.mark.parametrize(("linear", "kind"), [("field", "FiLV"), ("value", "LW")])
def test_fwfm(compare, linear, kind):
    """No difference: both keep one weight per pair, and the bias is FuxiCTR's of the pairs."""
    theirs = fuxictr_model("model_zoo/FwFM/src/FwFM.py", "FwFM", linear_type=kind)
    mine = ours("fwfm", linear=linear)
    tables(mine.encoder, theirs.embedding_layer)
    first, second = mine.blocks[0].branches
    if linear == "field":
        first.kernel.assign(numpy(theirs.linear_weight_layer.weight).T)
    else:
        first_order(mine, theirs.linear_weight_layer)
    first.bias.assign(numpy(theirs.interaction_weight.bias))
    second.pair_weights.assign(numpy(theirs.interaction_weight.weight).T)
    same_logits(compare, f"FwFM, {kind}", mine, theirs)


def test_deepfm(compare):
    """FuxiCTR has two biases, of its LR and of its MLP: ours is their sum."""
    path = "model_zoo/DeepFM/DeepFM_torch/src/DeepFM.py"
    theirs = fuxictr_model(path, "DeepFM", hidden_units=[8, 5])
    mine = ours("deepfm", units=[8, 5])
    tables(mine.encoder, theirs.embedding_layer)
    first_order(mine, theirs.fm.lr_layer.embedding_layer)
    deep_part(mine.blocks[0].branches[2], theirs.mlp)
    bias = mine.blocks[0].branches[2].layers[-1].bias
    bias.assign(bias + numpy(theirs.fm.lr_layer.bias))
    same_logits(compare, "DeepFM", mine, theirs, more=1)


@pytest.mark.parametrize("kind", ["field_all", "field_each", "field_interaction"])
@pytest.mark.parametrize("gate", ["relu", "sigmoid"])
def test_fibinet(compare, gate, kind):
    """FuxiCTR's `field_each` has a matrix for the last field too, which no pair reads."""
    options = {"bilinear_type": kind, "reduction_ratio": 2, "hidden_units": [8, 5]}
    path = "model_zoo/FiBiNET/src/FiBiNET.py"
    theirs = fuxictr_model(path, "FiBiNET", excitation_activation=gate, **options)
    options["units"] = options.pop("hidden_units")
    mine = ours("fibinet", gate_activation=gate, **options)
    tables(mine.encoder, theirs.embedding_layer)
    first_order(mine, theirs.lr_layer.embedding_layer)
    both, _, deep = mine.blocks[0].branches[1].layers
    plain, reweighted = both.branches
    squeeze, gated = reweighted.layers
    dense(squeeze.reduction, theirs.senet_layer.excitation[0])
    dense(squeeze.excitation, theirs.senet_layer.excitation[2])
    interactions = (theirs.bilinear_interaction1, theirs.bilinear_interaction2)
    for layer, interaction in zip((plain, gated), interactions, strict=True):
        kernel = layer.projection.kernel
        kernel.assign(numpy(interaction.bilinear_W)[: kernel.shape[0]])
    deep_part(deep, theirs.dnn)
    more = 2 * DIM**2 if kind == "field_each" else 0
    same_logits(compare, f"FiBiNET, {kind}, {gate}", mine, theirs, more=more)


def test_xdeepfm(compare):
    """CIN without activation, halves or order of its own: our defaults are FuxiCTR's. LR has no bias."""
    options = {"cin_hidden_units": [5, 4], "dnn_hidden_units": [8, 5]}
    theirs = fuxictr_model("model_zoo/xDeepFM/src/xDeepFM.py", "xDeepFM", **options)
    mine = ours("xdeepfm", cin_hidden_units=[5, 4], units=[8, 5])
    tables(mine.encoder, theirs.embedding_layer)
    first_order(mine, theirs.lr_layer.embedding_layer)
    _, network, deep = mine.blocks[0].branches
    for i, conv in enumerate(theirs.cin.cin_layer.values()):
        network.layers[0].kernels[i].assign(numpy(conv.weight)[:, :, 0].T)
        network.layers[0].biases[i].assign(numpy(conv.bias))
    dense(network.layers[1], theirs.cin.fc)
    deep_part(deep, theirs.dnn)
    same_logits(compare, "xDeepFM (CIN)", mine, theirs)


def test_dcn(compare):
    """No difference: both add the bias outside of the product."""
    options = {"num_cross_layers": 3, "dnn_hidden_units": [8, 5]}
    theirs = fuxictr_model("model_zoo/DCN/DCN_torch/src/DCN.py", "DCN", **options)
    mine = ours("dcn", depth=3, units=[8, 5])
    tables(mine.encoder, theirs.embedding_layer)
    cross, deep = mine.blocks[0].branches
    for kernel, bias, layer in zip(cross.kernels, cross.biases, theirs.crossnet.cross_net):
        kernel.assign(numpy(layer.weight.weight).T)
        bias.assign(numpy(layer.bias))
    mlp(deep, theirs.dnn)
    logit(mine.heads, theirs.fc)
    same_logits(compare, "DCN (CrossNet)", mine, theirs)


@pytest.mark.parametrize("structure", ["crossnet_only", "stacked", "parallel", "stacked_parallel"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_dcn_v2(compare, structure, batch_norm):
    """No difference, with batch norm between projection and activation as well."""
    options = {"stacked_dnn_hidden_units": [8, 5], "parallel_dnn_hidden_units": [8, 5]}
    theirs = fuxictr_model(
        "model_zoo/DCNv2/src/DCNv2.py", "DCNv2",
        model_structure=structure, num_cross_layers=3, batch_norm=batch_norm, **options,
    )  # fmt: skip
    mine = ours("dcn_v2", model_structure=structure, depth=3, units=[8, 5], batch_norm=batch_norm)
    tables(mine.encoder, theirs.embedding_layer)
    parts = {
        "crossnet_only": lambda: (mine.blocks[0], None, None),
        "stacked": lambda: (mine.blocks[0], mine.blocks[1], None),
        "parallel": lambda: (mine.blocks[0].branches[0], None, mine.blocks[0].branches[1]),
        "stacked_parallel": lambda: (
            *mine.blocks[0].branches[0].layers,
            mine.blocks[0].branches[1],
        ),
    }
    cross, stacked, parallel = parts[structure]()
    cross_v2(cross, theirs.crossnet)
    for part, block in ((stacked, "stacked_dnn"), (parallel, "parallel_dnn")):
        if part is not None:
            mlp(part, getattr(theirs, block))
    logit(mine.heads, theirs.fc)
    same_logits(compare, f"DCNv2, {structure}{', BN' * batch_norm}", mine, theirs)


def test_dcn_mix(compare):
    """No difference: gates shared by the layers, tanh on both sides of C.

    FuxiCTR drops the batch axis of a single row: more rows than one are compared.
    """
    options = {"low_rank": 4, "num_experts": 3, "parallel_dnn_hidden_units": [8, 5]}
    theirs = fuxictr_model(
        "model_zoo/DCNv2/src/DCNv2.py", "DCNv2",
        use_low_rank_mixture=True, num_cross_layers=2, **options,
    )  # fmt: skip
    mine = ours("dcn_mix", depth=2, num_experts=3, low_rank=4, units=[8, 5])
    tables(mine.encoder, theirs.embedding_layer)
    cross, deep = mine.blocks[0].branches
    mix = theirs.crossnet
    for step in range(2):
        down, core, up = (numpy(w[step]) for w in (mix.V_list, mix.C_list, mix.U_list))
        experts = {  # (K, W, r): side by side as (W, K·r), and the reverse
            "downs": np.concatenate(list(down), axis=1),
            "cores": core.transpose(0, 2, 1),
            "ups": np.concatenate([u.T for u in up]),
            "biases": numpy(mix.bias[step])[:, 0],
        }
        for name, value in experts.items():
            weight = getattr(cross, name)[step]
            weight.assign(value.reshape(weight.shape))
    cross.gates[0].assign(np.concatenate([numpy(gate.weight) for gate in mix.gating]).T)
    mlp(deep, theirs.parallel_dnn)
    logit(mine.heads, theirs.fc)
    same_logits(compare, "DCNv2, low-rank mixture (CrossNetMix)", mine, theirs)


@pytest.mark.parametrize(("name", "structure"), [("GDCN", "stacked"), ("GDCNP", "parallel")])
def test_gdcn(compare, name, structure):
    """No difference."""
    options = {"num_cross_layers": 3, "dnn_hidden_units": [8, 5]}
    theirs = fuxictr_model("model_zoo/GDCN/src/GDCN.py", name, **options)
    mine = ours("gdcn", model_structure=structure, depth=3, units=[8, 5])
    tables(mine.encoder, theirs.embedding_layer)
    stacked = structure == "stacked"
    cross, deep = mine.blocks if stacked else mine.blocks[0].branches
    gates = theirs.cross_net
    for step in range(3):
        cross.kernels[step].assign(numpy(gates.w[step].weight).T)
        cross.gates[step].assign(numpy(gates.wg[step].weight).T)
        cross.biases[step].assign(numpy(gates.b[step]))
    last = mlp(deep, theirs.dnn)
    logit(mine.heads, last[0] if stacked else theirs.fc)
    same_logits(compare, f"{name}", mine, theirs)


@pytest.mark.parametrize("model_type", ["serial", "parallel"])
@pytest.mark.parametrize("norms", [True, False])
def test_masknet(compare, model_type, norms):
    """A norm per field, the raw embeddings in every mask, no bias before the norm: all as FuxiCTR.

    Parallel blocks share one norm of the embeddings in FuxiCTR; here each has its own, and gets a copy.
    """
    kind = {"serial": "SerialMaskNet", "parallel": "ParallelMaskNet"}[model_type]
    theirs = fuxictr_model(
        "model_zoo/MaskNet/src/MaskNet.py", "MaskNet",
        model_type=kind, parallel_num_blocks=3, parallel_block_dim=7, reduction_ratio=2,
        dnn_hidden_units=[7, 7, 7] if model_type == "serial" else [8, 5],
        emb_layernorm=norms, net_layernorm=norms,
    )  # fmt: skip
    mine = ours(
        "masknet", model_type=model_type, num_blocks=3, block_dim=7, reduction_ratio=2.0,
        ln_emb="per_field" if norms else "none", layer_norm=norms, units=[8, 5],
    )  # fmt: skip
    tables(mine.encoder, theirs.embedding_layer)
    for block, other in zip(mine.blocks[0].blocks, theirs.mask_net.mask_blocks, strict=True):
        dense(block.aggregation, other.mask_layer[0])
        dense(block.projection, other.mask_layer[2])
        dense(block.hidden, other.hidden_layer[0])
        if norms:
            norm(block.norm, other.hidden_layer[1])
        if block.norm_emb is not None:
            gamma, beta = (
                np.concatenate([numpy(getattr(n, key)) for n in theirs.emb_norm])
                for key in ("weight", "bias")
            )
            block.norm_emb.gamma.assign(gamma)
            block.norm_emb.beta.assign(beta)
    if model_type == "serial":
        logit(mine.heads, theirs.mask_net.fc[0])
    else:
        (last,) = mlp(mine.blocks[1], theirs.mask_net.dnn)
        logit(mine.heads, last)
    copies = 2 if norms and model_type == "parallel" else 0
    more = -copies * 2 * FIELDS * DIM
    same_logits(compare, f"{kind}{'' if norms else ', no norms'}", mine, theirs, more=more)


@pytest.mark.parametrize("context", [False, True])
def test_final_mlp(compare, context):
    """Feature selection and interaction aggregation.

    The fusion has two biases in FuxiCTR, one here: ours is their sum. A gate without context is an MLP
    of a constant vector in FuxiCTR, and the vector that comes out of it here.
    """
    columns = {"fs1_context": ["field_1"], "fs2_context": ["field_2", "field_0"]} if context else {}
    theirs = fuxictr_model(
        "model_zoo/FinalMLP/src/FinalMLP.py", "FinalMLP",
        mlp1_hidden_units=[8, 6], mlp2_hidden_units=[9, 4], fs_hidden_units=[7], num_heads=2, **columns,
    )  # fmt: skip
    options = {"units1": [8, 6], "units2": [9, 4], "fs_hidden_units": [7], "num_heads": 2}
    mine = ours("final_mlp", **options, **columns)
    tables(mine.encoder, theirs.embedding_layer)
    for gate, index in zip(mine.blocks[0].branches, (1, 2)):
        mlp(gate.block, getattr(theirs, f"mlp{index}"))
        selected = getattr(theirs.fs_module, f"fs{index}_gate").mlp
        if not context:
            constant = getattr(theirs.fs_module, f"fs{index}_ctx_bias")
            gate.logits.assign(numpy(selected[:-1](constant))[0])  # all but its sigmoid
            continue
        (last,) = copy_steps(gate.hidden.steps, selected)
        dense(gate.gate, last)
        own = getattr(theirs.fs_module, f"fs{index}_ctx_emb").embedding_layer.embedding_layers
        # FuxiCTR joins a context in the order of the columns, we in the order that was asked for.
        order = np.argsort(columns[f"fs{index}_context"])
        for table, name in zip(gate.tables, columns[f"fs{index}_context"]):
            table.embeddings.assign(numpy(own[name].weight))
        first = gate.hidden.steps[0].kernel
        blocks = np.split(keras.ops.convert_to_numpy(first), len(order))
        first.assign(np.concatenate([blocks[np.argsort(order)[i]] for i in range(len(order))]))
    fusion = theirs.fusion_module
    heads = mine.heads
    heads.linear[0].kernel.assign(numpy(fusion.w_x.weight).T)
    heads.linear[1].kernel.assign(numpy(fusion.w_y.weight).T)
    both = numpy(fusion.w_x.bias) + numpy(fusion.w_y.bias)
    for projection in heads.linear:
        if projection.use_bias:
            projection.bias.assign(both)
    heads.kernel.assign(numpy(fusion.w_xy).reshape(heads.kernel.shape))
    width = FIELDS * DIM
    gate = DIM + (DIM * 7 + 7) + (7 * width + width)  # of which only the last bias can learn
    more = 1 if context else 1 + 2 * (gate - width)
    same_logits(compare, f"FinalMLP, {'own' if context else 'no'} context", mine, theirs, more=more)


@pytest.mark.parametrize("residual_type", ["concat", "sum"])
def test_final_net(compare, residual_type):
    """No difference in what is predicted; both blocks, the first with the field gate."""
    theirs = fuxictr_model(
        "model_zoo/FinalNet/src/FinalNet.py", "FinalNet",
        block1_hidden_units=[8, 6], block2_hidden_units=[6, 4], use_feature_gating=True,
        residual_type=residual_type,
    )  # fmt: skip
    mine = ours("final_net", units1=[8, 6], units2=[6, 4], merge=residual_type)
    tables(mine.encoder, theirs.embedding_layer)
    gated, second = mine.blocks[0].branches
    gate, _, first = gated.layers
    gate.kernel.assign(numpy(theirs.feature_gating.linear.weight).T)
    gate.bias.assign(numpy(theirs.feature_gating.linear.bias))
    for mine_block, block in ((first, theirs.block1), (second, theirs.block2)):
        modules = [m for pair in zip(block.layer, block.norm) for m in (pair[0].linear, pair[1])]
        assert not copy_steps(mine_block.steps, modules)
    for projection, linear in zip(mine.heads.projections, (theirs.fc1, theirs.fc2)):
        dense(projection, linear)
    same_logits(compare, f"FinalNet, {residual_type}", mine, theirs)


@pytest.mark.parametrize(
    ("width", "use_scale", "layer_norm"), [(8, False, False), (DIM, True, True)]
)
def test_autoint(compare, width, use_scale, layer_norm):
    """AutoInt+ with first-order terms; ours is told FuxiCTR's residual, scale and norm.

    FuxiCTR projects the residual only where the width changes, has no scale by default, and its norm
    stands before the rectifier: `residual="identity", use_scale=..., layer_norm="before"`.
    """
    theirs = fuxictr_model(
        "model_zoo/AutoInt/src/AutoInt.py", "AutoInt",
        attention_layers=2, num_heads=2, attention_dim=width, use_wide=True, dnn_hidden_units=[8, 5],
        use_scale=use_scale, layer_norm=layer_norm,
    )  # fmt: skip
    mine = ours(
        "autoint", attention_layers=2, num_heads=2, attention_dim=width, use_wide=True, units=[8, 5],
        use_scale=use_scale, layer_norm="before" if layer_norm else "none", residual="identity",
    )  # fmt: skip
    tables(mine.encoder, theirs.embedding_layer)
    attention, deep, _ = mine.blocks[0].branches
    for layer, other in zip(attention.layers, theirs.self_attention):
        names = {"query": "W_q", "key": "W_k", "value": "W_v", "residual": "W_res"}
        for name, projection in layer.projections.items():
            dense(projection, getattr(other, names[name]))
        if layer_norm:
            norm(layer.norm, other.layer_norm)
    dense(attention.layers[-1], theirs.fc)
    deep_part(deep, theirs.dnn)
    first_order(mine, theirs.lr_layer.embedding_layer)
    label = f"AutoInt+, {'scale, norm' if layer_norm else 'projected residual'}"
    same_logits(compare, label, mine, theirs)


WUKONG = {"num_wukong_layers": 2, "fmb_features": 3, "lcb_features": 2, "fmb_mlp_units": [8, 5]}


def test_wukong(compare):
    """Without FuxiCTR's two additions: a ReLU on what FMB gives, a bias of the residual's projection."""
    import torch

    theirs = fuxictr_model(
        "model_zoo/WuKong/src/WuKong.py", "WuKong", **WUKONG, fmp_rank_k=4, mlp_hidden_units=[8, 5]
    )
    mine = ours("wukong", **WUKONG, fmb_rank_k=4, units=[8, 5], batch_norm=True)
    tables(mine.encoder, theirs.embedding_layer)
    for block, layer in zip(mine.blocks, theirs.wukong_stack):
        wukong_layer(block, layer)
    (last,) = mlp(mine.blocks[-1], theirs.fc)
    logit(mine.heads, last)
    before = logits_of(theirs, inputs())
    for layer in theirs.wukong_stack:
        assert isinstance(layer.fmb.mlp.mlp[-1], torch.nn.ReLU)
        layer.fmb.mlp.mlp[-1] = torch.nn.Identity()
        if hasattr(layer, "residual_proj"):
            torch.nn.init.zeros_(layer.residual_proj.bias)
    assert (
        np.max(np.abs(logits_of(theirs, inputs()) - before)) > 0.05
    )  # they are not the same model
    same_logits(compare, "WuKong, without its ReLU and residual bias", mine, theirs, more=3 + 2)


def test_wukong_as_it_is(compare):
    """FuxiCTR's layer unchanged: its two additions made to the parts of ours."""
    import torch

    layer = fuxictr_module("model_zoo/WuKong/src/WuKong.py").WuKongLayer(
        FIELDS, 2, 3, DIM, 4, [8, 5], "relu", 0.0
    )
    torch.manual_seed(0)
    for weight in layer.parameters():
        torch.nn.init.normal_(weight, 0.3 if weight.ndim == 1 else 0.0, 0.4)
    x = np.random.default_rng(0).normal(size=(ROWS, FIELDS, DIM)).astype("float32")
    mine = kr.layers.WukongLayer(3, 2, 4, [8, 5])
    mine.build((None, FIELDS, DIM))
    wukong_layer(mine, layer)
    crossed = x
    for step in mine.fmb:
        crossed = step(crossed)
    crossed = keras.ops.relu(keras.ops.reshape(crossed, (-1, 3, DIM)))
    bias = keras.ops.convert_to_tensor(layer.residual_proj.bias.detach()[:, None])
    out = keras.ops.concatenate([crossed, mine.lcb(x)], axis=1) + mine.residual(x) + bias
    found = keras.ops.convert_to_numpy(mine.norm(out))
    compare("WuKong's layer, with both", found, numpy(layer(torch.tensor(x))))


def test_dlrm(compare):
    """FuxiCTR has the numbers' token last, the pairs of the upper triangle, and the token at the end.

    The same columns in another order: the top MLP's first kernel is permuted. FuxiCTR's bottom MLP takes
    numbers as columns, its reader gives vectors.
    """
    path = "model_zoo/DLRM/src/DLRM.py"
    options = {"bottom_mlp_units": [7], "top_mlp_units": [8, 5]}
    theirs = fuxictr_model(path, "DLRM", NUMBERS, **options)
    mine = ours("dlrm", NUMBERS, **options)
    (table,) = mine.encoder.tables
    own = theirs.embedding_layer.embedding_layer.embedding_layers
    table.assign(np.concatenate([numpy(own[name].weight) for name in NAMES]))
    interaction, top = mine.blocks
    assert not mlp(interaction.bottom, theirs.bottom_mlp)
    (last,) = mlp(top, theirs.top_mlp)
    logit(mine.heads, last)
    count = FIELDS + 1
    place = np.zeros((count, count), int)
    place[np.triu_indices(count, 1)] = np.arange(count * (count - 1) // 2)
    place = place + place.T
    token = [FIELDS, *range(FIELDS)]  # FuxiCTR's number of each of our tokens
    pairs = [place[token[i], token[j]] for i, j in zip(*np.tril_indices(count, -1))]
    columns = [*range(len(pairs), len(pairs) + DIM), *pairs]
    kernel = top.steps[0].kernel
    kernel.assign(keras.ops.convert_to_numpy(kernel)[columns])
    same_logits(compare, "DLRM", mine, theirs, NUMBERS)


MULTITASK = {"num_tasks": 2, "task": ["regression", "regression"]}
UNITS = {"expert": [8, 5], "gate": [7], "tower": [6]}
THEIR_UNITS = {f"{part}_hidden_units": units for part, units in UNITS.items()}
OUR_UNITS = {f"{part}_units": units for part, units in UNITS.items()}


def test_mmoe(compare):
    """FuxiCTR's gates end in a bias; ours have none, and theirs is set to zero."""
    path = "model_zoo/multitask/MMoE/src/MMoE.py"
    theirs = fuxictr_model(path, "MMoE", **MULTITASK, **THEIR_UNITS, num_experts=3)
    mine = ours("mmoe", tasks=TASKS, **OUR_UNITS, num_experts=3)
    tables(mine.encoder, theirs.embedding_layer)
    stacked(mine.heads.experts, theirs.mmoe_layer.experts)
    stacked(mine.heads.gates, theirs.mmoe_layer.gate)
    stacked(mine.heads.towers, theirs.tower)
    same_logits(compare, "MMoE", mine, theirs, more=2 * 3)


def test_ple(compare):
    """One level: between levels, FuxiCTR's gate of the shared experts sees these alone, ours sees all.

    FuxiCTR has that gate in the last level too, where nothing reads it, and its gates end in a bias.
    """
    experts = {"num_shared_experts": 2, "num_specific_experts": 3}
    path = "model_zoo/multitask/PLE/src/PLE.py"
    theirs = fuxictr_model(path, "PLE", **MULTITASK, **THEIR_UNITS, **experts, num_layers=1)
    mine = ours("ple", tasks=TASKS, **OUR_UNITS, **experts)
    tables(mine.encoder, theirs.embedding_layer)
    (level,), (theirs_level,) = mine.heads.levels, theirs.cgc_layers
    stacked(level.stacks["shared"], theirs_level.shared_experts)
    own = [expert for task in theirs_level.specific_experts for expert in task]
    stacked(level.stacks["specific"], own)
    stacked(level.stacks["gates"], theirs_level.gate[:2])
    stacked(mine.heads.towers, theirs.tower)
    unread = FIELDS * DIM * 7 + 7 + 7 * 2 + 2
    same_logits(compare, "PLE, one level", mine, theirs, more=2 * 5 + unread)
