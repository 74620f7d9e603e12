"""The training state of a model: copying, restoring and checking for non-finite values."""

from typing import Any

import keras
import numpy as np
from keras import ops


class ModelState:
    """A copy of weights, random states and optimizer slots in host memory.

    Host memory, since device memory is the scarcer resource.

    Args:
        model: The model.
        step: Step after which the copy is made.
    """

    def __init__(self, model: keras.Model, step: int):
        self.step = step
        self._random = random_state()
        self._variables = variables_of(model)
        # A copy, since PyTorch and NumPy would share memory on a CPU.
        self._arrays = [np.array(ops.convert_to_numpy(v.value)) for v in self._variables]

    def restore(self) -> None:
        """Restores the values of all variables and the state of the generators of PyTorch."""
        set_random_state(self._random)
        for variable, array in zip(self._variables, self._arrays, strict=True):
            variable.assign(
                array.copy()
            )  # a copy, since JAX may adopt the memory and donate it to the next step

    def moved_most(self) -> str | None:
        """Returns the layer whose weights have changed most since the copy, relative to their norm."""
        moves = {}
        for variable, before in zip(self._variables, self._arrays, strict=True):
            if variable.trainable and _is_float(variable):
                after = np.asarray(ops.convert_to_numpy(variable.value))
                change = np.linalg.norm(after.astype("float64") - before)
                moves[layer_of(variable)] = max(
                    change / (np.linalg.norm(before) + 1e-12), moves.get(layer_of(variable), 0.0)
                )
        return max(moves, key=moves.__getitem__, default=None)


def variables_of(model: Any) -> list[Any]:
    """Returns the variables of the model (random generators included) and of the optimizer."""
    return [*model.variables, *model.optimizer.variables]


def random_state() -> Any:
    """Returns the state of the generators of PyTorch, which Keras layers without a seed use there."""
    if keras.backend.backend() != "torch":
        return None
    import torch

    return torch.get_rng_state(), torch.cuda.get_rng_state_all()


def set_random_state(state: Any) -> None:
    """Restores the output of `random_state`."""
    if state is None:
        return
    import torch

    torch.set_rng_state(state[0])
    torch.cuda.set_rng_state_all(state[1])


def synchronize(model: Any) -> None:
    """Copies the weights from the state of `fit` on JAX into the variables."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def all_finite(model: keras.Model) -> bool:
    """Whether all weights and slots are finite, with a single device synchronization."""
    flags = [ops.all(ops.isfinite(v.value)) for v in variables_of(model) if _is_float(v)]
    return not flags or bool(ops.all(ops.stack(flags)))


def broken_layers(model: Any) -> list[str]:
    """Returns the layers with a non-finite weight or optimizer slot, in the order of the model."""
    slots = [v.name for v in model.optimizer.variables if _is_broken(v)]
    broken = [
        layer_of(v)
        for v in model.variables
        # Keras names slots after their variables.
        if _is_broken(v) or any(slot.startswith(v.path.replace("/", "_") + "_") for slot in slots)
    ]
    return list(dict.fromkeys(broken))


def layer_of(variable: Any) -> str:
    """Returns the path of the layer that owns a variable."""
    return variable.path.rpartition("/")[0] or variable.path


def _is_float(variable: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(variable.dtype)


def _is_broken(variable: Any) -> bool:
    return _is_float(variable) and not bool(ops.all(ops.isfinite(variable.value)))
