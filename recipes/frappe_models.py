"""BARS's settings and figures on Frappe_x1, for every row of its table.

Source of settings and figures: the repository reczoo/BARS at 5b5e61f (ranking/ctr/MODEL/RUN/README.md and
the leaderboard), with FuxiCTR's defaults. AUC and logloss there are one run of seed 2021, the seed of the
search; `mean` is over its five seeds, where it has them. Models that are not in BARS have our own settings.
"""

from dataclasses import dataclass, field
from typing import Any

UNITS = (400, 400, 400)
FINAL = {"units1": (400, 400), "activation": "relu", "batch_norm": True}
ATTENTION = {"num_heads": 4, "attention_dim": 128, "residual": "identity", "use_scale": False}


@dataclass(frozen=True)
class Setting:
    """An architecture, its arguments, and the λ of the embeddings' λ/2 · Σ squares.

    `published` has BARS's `auc`, `logloss` and `params`, and `mean` where there are five seeds.
    """

    architecture: str
    arguments: dict[str, Any]
    embedding_regularizer: float
    published: dict[str, float] = field(default_factory=dict)


def deep(dropout: float, **arguments: Any) -> dict[str, Any]:
    """Adds BARS's usual MLP: 400, 400, 400, with batch norm."""
    return {**arguments, "units": UNITS, "dropout": dropout, "batch_norm": True}


def bars(auc: float, logloss: float, params: int, mean: float | None = None) -> dict[str, float]:
    """Returns a row of BARS's table as a dict."""
    row = {"auc": auc, "logloss": logloss, "params": params}
    return row if mean is None else row | {"mean": mean}


MODELS = {
    "LR": Setting("lr", {}, 1e-5, bars(0.9356, 0.3076, 5_390)),
    "FM": Setting("fm", {}, 5e-6, bars(0.9671, 0.2065, 59_280)),
    "CrossNet": Setting(
        "dcn_v2",
        {"model_structure": "crossnet_only", "depth": 4},
        1e-3,
        bars(0.9729, 0.2216, 94_391),
    ),
    "CIN": Setting(
        "xdeepfm",
        {"cin_hidden_units": (64, 64, 64), "units": ()},
        5e-4,
        bars(0.9782, 0.2352, 147_984),
    ),
    "AutoInt": Setting(
        "autoint", ATTENTION | {"attention_layers": 6}, 0.05, bars(0.9831, 0.1637, 306_051)
    ),
    "DNN": Setting("mlp", deep(0.2), 0.05, bars(0.9833, 0.1622, 781_892, 0.984045)),
    "WideDeep": Setting(
        "wide_deep",
        deep(0.6, crosses=None),
        0.1,
        bars(0.9841, 0.1490, 423_280, 0.983073),
    ),
    "DeepFM": Setting("deepfm", deep(0.2), 0.05, bars(0.9842, 0.1482, 423_280, 0.983947)),
    "DCN": Setting("dcn", deep(0.2, depth=3), 0.05, bars(0.9839, 0.1527, 418_591, 0.983418)),
    "DCNv2": Setting(
        "dcn_v2",
        deep(0.4, model_structure="parallel", depth=4),
        0.05,
        bars(0.9845, 0.1491, 458_391, 0.983824),
    ),
    "xDeepFM": Setting(
        "xdeepfm", deep(0.2, cin_hidden_units=(64,)), 0.1, bars(0.9845, 0.1466, 429_809, 0.984138)
    ),
    "AutoInt+": Setting(
        "autoint",
        deep(0.1, **ATTENTION | {"attention_layers": 5, "layer_norm": "before", "use_scale": True}),
        0.1,
        bars(0.9848, 0.1490, 622_180),
    ),
    # BARS's run has one matrix for both interactions, ours two: 100 parameters more.
    "FiBiNET": Setting(
        "fibinet",
        deep(0.3, bilinear_type="field_all", reduction_ratio=2),
        0.05,
        bars(0.9832, 0.1941, 743_480),
    ),
    "MaskNet": Setting(
        "masknet",
        {
            "model_type": "parallel",
            "num_blocks": 3,
            "block_dim": 50,
            "reduction_ratio": 2.0,
            "ln_emb": "none",
            "units": UNITS,
            "dropout": 0.1,
        },
        0.1,
        bars(0.9837, 0.1696, 571_691),
    ),
    "DLRM": Setting(
        "dlrm",
        {"interaction_op": "cat", "top_mlp_units": UNITS, "dropout": 0.4, "batch_norm": True},
        0.1,
        bars(0.9840, 0.1444, 417_891),
    ),
    "FinalMLP": Setting(
        "final_mlp",
        {
            "units1": (400,),
            "units2": (100,),
            "num_heads": 5,
            "dropout1": 0.4,
            "dropout2": 0.4,
            "batch_norm": True,
            "fs_hidden_units": (400,),
            "fs1_context": ("user",),
            "fs2_context": ("item",),
        },
        0.05,
        bars(0.9861, 0.1484, 253_392),
    ),
    "FINAL-1B": Setting(
        "final_net",
        FINAL | {"block_type": "1B", "dropout1": 0.2, "use_field_gate": False},
        0.1,
        bars(0.9852, 0.1366, 256_791),
    ),
    "FINAL-2B": Setting(
        "final_net",
        FINAL | {"block_type": "2B", "units2": (400,), "dropout1": 0.1, "dropout2": 0.1},
        0.1,
        bars(0.9857, 0.1311, 338_502),
    ),
    # Not on BARS's list: the MLP and λ of its DCN-V2, the interaction's own settings near their papers'.
    "GDCN": Setting("gdcn", deep(0.4, model_structure="parallel", depth=3), 0.05),
    "SDCNv3": Setting(
        "sdcn_v3",
        {
            "num_deep_cross_layers": 3,
            "num_shallow_cross_layers": 4,
            "deep_net_dropout": 0.1,
            "shallow_net_dropout": 0.2,
        },
        0.05,
    ),
    "Wukong": Setting(
        "wukong",
        {"num_wukong_layers": 2, "units": UNITS, "dropout": 0.2, "batch_norm": True},
        0.05,
    ),
    "RankMixer": Setting("rank_mixer", {"num_layers": 2, "num_tokens": 10, "token_dim": 80}, 0.05),
    "DHEN": Setting(
        "dhen",
        {"modules": ("cross", "mask"), "num_layers": 2, "num_tokens": 10, "units": UNITS},
        0.05,
    ),
    "DeepLight": Setting("deep_light", deep(0.4), 0.05),
    "Transformer": Setting(
        "transformer",
        {"depth": 2, "token_dim": 32, "num_heads": 2, "units": UNITS, "dropout": 0.2},
        0.05,
    ),
}
