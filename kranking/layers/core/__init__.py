"""Building blocks of all architectures: MLPs, containers, and adapters from fields to tokens."""

from kranking.layers.core._concatenate import Concatenate as Concatenate
from kranking.layers.core._field_normalization import FieldNormalization as FieldNormalization
from kranking.layers.core._learned_tokens import LearnedTokens as LearnedTokens
from kranking.layers.core._mixture_of_experts import MixtureOfExperts as MixtureOfExperts
from kranking.layers.core._mlp import MLP as MLP
from kranking.layers.core._parallel import Parallel as Parallel
from kranking.layers.core._residual import Residual as Residual
from kranking.layers.core._semantic_tokenizer import SemanticTokenizer as SemanticTokenizer
from kranking.layers.core._sequence_pooling import SequencePooling as SequencePooling
from kranking.layers.core._stack import Stack as Stack
from kranking.layers.core._token_linear import TokenLinear as TokenLinear
from kranking.layers.core._tokenizer import Tokenizer as Tokenizer

__all__ = [
    "MLP",
    "Concatenate",
    "FieldNormalization",
    "LearnedTokens",
    "MixtureOfExperts",
    "Parallel",
    "Residual",
    "SemanticTokenizer",
    "SequencePooling",
    "Stack",
    "TokenLinear",
    "Tokenizer",
]
