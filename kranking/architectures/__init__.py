"""One short function per paper over the builder, listed by `names()`."""

from kranking.architectures._dcn import dcn as dcn
from kranking.architectures._dcn_mix import dcn_mix as dcn_mix
from kranking.architectures._dcn_v2 import dcn_v2 as dcn_v2
from kranking.architectures._deep_light import deep_light as deep_light
from kranking.architectures._deepfm import deepfm as deepfm
from kranking.architectures._fm import fm as fm
from kranking.architectures._fwfm import fwfm as fwfm
from kranking.architectures._gdcn import gdcn as gdcn
from kranking.architectures._lr import lr as lr
from kranking.architectures._masknet import masknet as masknet
from kranking.architectures._mlp import mlp as mlp
from kranking.architectures._parallel_dcn_v2 import parallel_dcn_v2 as parallel_dcn_v2
from kranking.architectures._pinterest_baseline import pinterest_baseline as pinterest_baseline
from kranking.architectures._pinterest_launch import pinterest_launch as pinterest_launch
from kranking.architectures._registry import Architecture as Architecture
from kranking.architectures._registry import Hyperparameter as Hyperparameter
from kranking.architectures._registry import get as get
from kranking.architectures._registry import names as names
from kranking.architectures._sdcn_v3 import sdcn_v3 as sdcn_v3

__all__ = [
    "Architecture",
    "Hyperparameter",
    "dcn",
    "dcn_mix",
    "dcn_v2",
    "deep_light",
    "deepfm",
    "fm",
    "fwfm",
    "gdcn",
    "get",
    "lr",
    "masknet",
    "mlp",
    "names",
    "parallel_dcn_v2",
    "pinterest_baseline",
    "pinterest_launch",
    "sdcn_v3",
]
