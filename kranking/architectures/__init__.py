"""Published architectures: one short function per paper that builds a model, listed by `names()`."""

from kranking.architectures._autoint import autoint as autoint
from kranking.architectures._dcn import dcn as dcn
from kranking.architectures._dcn_mix import dcn_mix as dcn_mix
from kranking.architectures._dcn_v2 import dcn_v2 as dcn_v2
from kranking.architectures._deep_light import deep_light as deep_light
from kranking.architectures._deepfm import deepfm as deepfm
from kranking.architectures._dhen import dhen as dhen
from kranking.architectures._dlrm import dlrm as dlrm
from kranking.architectures._fibinet import fibinet as fibinet
from kranking.architectures._final_mlp import final_mlp as final_mlp
from kranking.architectures._final_net import final_net as final_net
from kranking.architectures._fm import fm as fm
from kranking.architectures._fwfm import fwfm as fwfm
from kranking.architectures._gdcn import gdcn as gdcn
from kranking.architectures._hiformer import hiformer as hiformer
from kranking.architectures._lr import lr as lr
from kranking.architectures._masknet import masknet as masknet
from kranking.architectures._memonet import memonet as memonet
from kranking.architectures._mlp import mlp as mlp
from kranking.architectures._mlp_mixer import mlp_mixer as mlp_mixer
from kranking.architectures._mmoe import mmoe as mmoe
from kranking.architectures._moe_mlp import moe_mlp as moe_mlp
from kranking.architectures._parallel_dcn_v2 import parallel_dcn_v2 as parallel_dcn_v2
from kranking.architectures._pinterest_baseline import pinterest_baseline as pinterest_baseline
from kranking.architectures._pinterest_launch import pinterest_launch as pinterest_launch
from kranking.architectures._ple import ple as ple
from kranking.architectures._rank_mixer import rank_mixer as rank_mixer
from kranking.architectures._registry import Architecture as Architecture
from kranking.architectures._registry import Hyperparameter as Hyperparameter
from kranking.architectures._registry import architecture as architecture
from kranking.architectures._registry import get as get
from kranking.architectures._registry import names as names
from kranking.architectures._sdcn_v3 import sdcn_v3 as sdcn_v3
from kranking.architectures._transformer import transformer as transformer
from kranking.architectures._wide_deep import wide_deep as wide_deep
from kranking.architectures._wukong import wukong as wukong
from kranking.architectures._xdeepfm import xdeepfm as xdeepfm

__all__ = [
    "Architecture",
    "Hyperparameter",
    "architecture",
    "autoint",
    "dcn",
    "dcn_mix",
    "dcn_v2",
    "deep_light",
    "deepfm",
    "dhen",
    "dlrm",
    "fibinet",
    "final_mlp",
    "final_net",
    "fm",
    "fwfm",
    "gdcn",
    "get",
    "hiformer",
    "lr",
    "masknet",
    "memonet",
    "mlp",
    "mlp_mixer",
    "mmoe",
    "moe_mlp",
    "names",
    "parallel_dcn_v2",
    "pinterest_baseline",
    "pinterest_launch",
    "ple",
    "rank_mixer",
    "sdcn_v3",
    "transformer",
    "wide_deep",
    "wukong",
    "xdeepfm",
]
