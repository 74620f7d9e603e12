"""Factorized interactions: FM, FwFM, the bilinear interaction, FINAL, and the CIN of xDeepFM."""

from kranking.layers.factorization._bilinear_interaction import (
    BilinearInteraction as BilinearInteraction,
)
from kranking.layers.factorization._compressed_interaction_network import (
    CompressedInteractionNetwork as CompressedInteractionNetwork,
)
from kranking.layers.factorization._factorization_machine import (
    FactorizationMachine as FactorizationMachine,
)
from kranking.layers.factorization._factorized_interaction import (
    FactorizedInteraction as FactorizedInteraction,
)
from kranking.layers.factorization._factorized_network import FactorizedNetwork as FactorizedNetwork
from kranking.layers.factorization._field_weighted_factorization_machine import (
    FieldWeightedFactorizationMachine as FieldWeightedFactorizationMachine,
)
from kranking.layers.factorization._linear_term import LinearTerm as LinearTerm

__all__ = [
    "BilinearInteraction",
    "CompressedInteractionNetwork",
    "FactorizationMachine",
    "FactorizedInteraction",
    "FactorizedNetwork",
    "FieldWeightedFactorizationMachine",
    "LinearTerm",
]
