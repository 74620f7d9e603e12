"""Cost of a model, analytic, compiled or measured, and budgets that limit it."""

from kranking.budget._analytic_cost import analytic_cost as analytic_cost
from kranking.budget._budget import Budget as Budget
from kranking.budget._budget import Violation as Violation
from kranking.budget._compiled_step import compiled_step as compiled_step
from kranking.budget._cost import Cost as Cost
from kranking.budget._cost import Figure as Figure
from kranking.budget._devices import DEVICES as DEVICES
from kranking.budget._devices import device_memory as device_memory
from kranking.budget._largest_batch import LargestBatch as LargestBatch
from kranking.budget._largest_batch import largest_batch as largest_batch
from kranking.budget._layer_table import LayerTable as LayerTable
from kranking.budget._layer_table import layer_table as layer_table
from kranking.budget._limit import Limit as Limit
from kranking.budget._measured_step import measured_step as measured_step
from kranking.budget._optimizer_slots import slots_per_parameter as slots_per_parameter

__all__ = [
    "DEVICES",
    "Budget",
    "Cost",
    "Figure",
    "LargestBatch",
    "LayerTable",
    "Limit",
    "Violation",
    "analytic_cost",
    "compiled_step",
    "device_memory",
    "largest_batch",
    "layer_table",
    "measured_step",
    "slots_per_parameter",
]
