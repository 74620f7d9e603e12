"""Token-mixing layers: DHEN, Wukong, RankMixer, MLP-Mixer and convolutions."""

from kranking.layers.mixing._convolution_interaction import (
    ConvolutionInteraction as ConvolutionInteraction,
)
from kranking.layers.mixing._dhen import DHEN as DHEN
from kranking.layers.mixing._dhen_cross import DHENCross as DHENCross
from kranking.layers.mixing._dhen_layer import DHENLayer as DHENLayer
from kranking.layers.mixing._gram_cross import GramCross as GramCross
from kranking.layers.mixing._mixer_layer import MixerLayer as MixerLayer
from kranking.layers.mixing._rank_mixer_layer import RankMixerLayer as RankMixerLayer
from kranking.layers.mixing._wukong_layer import WukongLayer as WukongLayer

__all__ = [
    "DHEN",
    "ConvolutionInteraction",
    "DHENCross",
    "DHENLayer",
    "GramCross",
    "MixerLayer",
    "RankMixerLayer",
    "WukongLayer",
]
