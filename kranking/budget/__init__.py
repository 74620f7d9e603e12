"""What a model costs, by formula, by compiler or by measurement, and whether that is within a budget."""

from kranking.budget._analytic import analytic_cost as analytic_cost
from kranking.budget._compiled import compiled_step as compiled_step
from kranking.budget._cost import Cost as Cost
from kranking.budget._cost import Figure as Figure
from kranking.budget._slots import slots_per_parameter as slots_per_parameter

__all__ = ["Cost", "Figure", "analytic_cost", "compiled_step", "slots_per_parameter"]
