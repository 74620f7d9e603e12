"""Interactions, gates, pooling, adapters and heads: tensors in, tensors out, no feature names."""

from kranking.layers._advanced_dlrm import AdvancedDLRM as AdvancedDLRM
from kranking.layers._attentive_dot_compression import (
    AttentiveDotCompression as AttentiveDotCompression,
)
from kranking.layers._bilinear_fusion import BilinearFusion as BilinearFusion
from kranking.layers._compressed_interaction_network import (
    CompressedInteractionNetwork as CompressedInteractionNetwork,
)
from kranking.layers._concatenate import Concatenate as Concatenate
from kranking.layers._convolution_interaction import (
    ConvolutionInteraction as ConvolutionInteraction,
)
from kranking.layers._cross_network import CrossNetwork as CrossNetwork
from kranking.layers._crossed_features import CrossedFeatures as CrossedFeatures
from kranking.layers._dhen import DHEN as DHEN
from kranking.layers._dhen_cross import DHENCross as DHENCross
from kranking.layers._dhen_layer import DHENLayer as DHENLayer
from kranking.layers._dlrm_interaction import DLRMInteraction as DLRMInteraction
from kranking.layers._dot_compression import DotCompression as DotCompression
from kranking.layers._dot_interaction import DotInteraction as DotInteraction
from kranking.layers._exponential_cross_network import (
    ExponentialCrossNetwork as ExponentialCrossNetwork,
)
from kranking.layers._factorization_machine import FactorizationMachine as FactorizationMachine
from kranking.layers._factorized_interaction import FactorizedInteraction as FactorizedInteraction
from kranking.layers._factorized_network import FactorizedNetwork as FactorizedNetwork
from kranking.layers._feature_gate import FeatureGate as FeatureGate
from kranking.layers._field_gate import FieldGate as FieldGate
from kranking.layers._field_halves import FieldHalves as FieldHalves
from kranking.layers._field_normalization import FieldNormalization as FieldNormalization
from kranking.layers._field_weighted_factorization_machine import (
    FieldWeightedFactorizationMachine as FieldWeightedFactorizationMachine,
)
from kranking.layers._flow import fill as fill
from kranking.layers._flow import takes_of as takes_of
from kranking.layers._gated_cross_network import GatedCrossNetwork as GatedCrossNetwork
from kranking.layers._gram_cross import GramCross as GramCross
from kranking.layers._hc_net import HCNet as HCNet
from kranking.layers._heterogeneous_transformer_layer import (
    HeterogeneousTransformerLayer as HeterogeneousTransformerLayer,
)
from kranking.layers._hiformer_layer import HiformerLayer as HiformerLayer
from kranking.layers._interacting_layer import InteractingLayer as InteractingLayer
from kranking.layers._learned_tokens import LearnedTokens as LearnedTokens
from kranking.layers._linear_cross_network import LinearCrossNetwork as LinearCrossNetwork
from kranking.layers._linear_term import LinearTerm as LinearTerm
from kranking.layers._low_rank_cross_network import LowRankCrossNetwork as LowRankCrossNetwork
from kranking.layers._mask_block import MaskBlock as MaskBlock
from kranking.layers._mean_heads import MeanHeads as MeanHeads
from kranking.layers._mixer_layer import MixerLayer as MixerLayer
from kranking.layers._mixture_cross_network import MixtureCrossNetwork as MixtureCrossNetwork
from kranking.layers._mixture_of_experts import MixtureOfExperts as MixtureOfExperts
from kranking.layers._mlp import MLP as MLP
from kranking.layers._multi_gate_mixture_of_experts import (
    MultiGateMixtureOfExperts as MultiGateMixtureOfExperts,
)
from kranking.layers._parallel import Parallel as Parallel
from kranking.layers._parallel_mask_net import ParallelMaskNet as ParallelMaskNet
from kranking.layers._progressive_layered_extraction import (
    ProgressiveLayeredExtraction as ProgressiveLayeredExtraction,
)
from kranking.layers._rank_mixer_layer import RankMixerLayer as RankMixerLayer
from kranking.layers._residual import Residual as Residual
from kranking.layers._semantic_tokenizer import SemanticTokenizer as SemanticTokenizer
from kranking.layers._sequence_pooling import SequencePooling as SequencePooling
from kranking.layers._serial_mask_net import SerialMaskNet as SerialMaskNet
from kranking.layers._shared_bottom import SharedBottom as SharedBottom
from kranking.layers._stack import Stack as Stack
from kranking.layers._token_linear import TokenLinear as TokenLinear
from kranking.layers._tokenizer import Tokenizer as Tokenizer
from kranking.layers._transformer_encoder_layer import (
    TransformerEncoderLayer as TransformerEncoderLayer,
)
from kranking.layers._user_sequence_transformer import (
    UserSequenceTransformer as UserSequenceTransformer,
)
from kranking.layers._vector_cross_network import VectorCrossNetwork as VectorCrossNetwork
from kranking.layers._work import Work as Work
from kranking.layers._work import work_of as work_of
from kranking.layers._wukong_layer import WukongLayer as WukongLayer

__all__ = [
    "DHEN",
    "MLP",
    "AdvancedDLRM",
    "AttentiveDotCompression",
    "BilinearFusion",
    "CompressedInteractionNetwork",
    "Concatenate",
    "ConvolutionInteraction",
    "CrossNetwork",
    "CrossedFeatures",
    "DHENCross",
    "DHENLayer",
    "DLRMInteraction",
    "DotCompression",
    "DotInteraction",
    "ExponentialCrossNetwork",
    "FactorizationMachine",
    "FactorizedInteraction",
    "FactorizedNetwork",
    "FeatureGate",
    "FieldGate",
    "FieldHalves",
    "FieldNormalization",
    "FieldWeightedFactorizationMachine",
    "GatedCrossNetwork",
    "GramCross",
    "HCNet",
    "HeterogeneousTransformerLayer",
    "HiformerLayer",
    "InteractingLayer",
    "LearnedTokens",
    "LinearCrossNetwork",
    "LinearTerm",
    "LowRankCrossNetwork",
    "MaskBlock",
    "MeanHeads",
    "MixerLayer",
    "MixtureCrossNetwork",
    "MixtureOfExperts",
    "MultiGateMixtureOfExperts",
    "Parallel",
    "ParallelMaskNet",
    "ProgressiveLayeredExtraction",
    "RankMixerLayer",
    "Residual",
    "SemanticTokenizer",
    "SequencePooling",
    "SerialMaskNet",
    "SharedBottom",
    "Stack",
    "TokenLinear",
    "Tokenizer",
    "TransformerEncoderLayer",
    "UserSequenceTransformer",
    "VectorCrossNetwork",
    "Work",
    "WukongLayer",
    "fill",
    "takes_of",
    "work_of",
]
