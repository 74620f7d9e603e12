"""All that training changes in a model: copies, restoring, and whether it is finite."""

from typing import Any

import keras
import numpy as np
from keras import ops


class ModelState:
    """A copy of weights, random states and optimizer slots, in main memory.

    Not on the device: memory there is what a training runs out of first.

    Args:
        model: The model.
        step: Step at whose end it is taken.
    """

    def __init__(self, model: keras.Model, step: int):
        self.step = step
        self._random = random_state()
        self._variables = variables_of(model)
        # A copy: on a processor, PyTorch and NumPy would share the memory.
        self._arrays = [np.array(ops.convert_to_numpy(v.value)) for v in self._variables]

    def restore(self) -> None:
        """Gives every variable the value it had, and PyTorch's own generators their state."""
        set_random_state(self._random)
        for variable, array in zip(self._variables, self._arrays, strict=True):
            variable.assign(
                array.copy()
            )  # JAX may take the memory over, and the next step give it away

    def moved_most(self) -> str | None:
        """Gives the layer whose weights have changed most since, relative to their norm."""
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
    """Gives the model's variables, those of its random generators included, and the optimizer's."""
    return [*model.variables, *model.optimizer.variables]


def random_state() -> Any:
    """Gives the state of PyTorch's generators, from which Keras's layers without a seed draw there."""
    if keras.backend.backend() != "torch":
        return None
    import torch

    return torch.get_rng_state(), torch.cuda.get_rng_state_all()


def set_random_state(state: Any) -> None:
    """Sets what `random_state` gave."""
    if state is None:
        return
    import torch

    torch.set_rng_state(state[0])
    torch.cuda.set_rng_state_all(state[1])


def synchronize(model: Any) -> None:
    """On JAX, `fit` keeps the weights in a state of its own; this brings them into the variables."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def all_finite(model: keras.Model) -> bool:
    """Tells whether all weights and slots are finite: one answer for all, so one wait for the device."""
    flags = [ops.all(ops.isfinite(v.value)) for v in variables_of(model) if _is_float(v)]
    return not flags or bool(ops.all(ops.stack(flags)))


def broken_layers(model: Any) -> list[str]:
    """Gives the layers with a weight or an optimizer's slot that is not finite, in the model's order."""
    slots = [v.name for v in model.optimizer.variables if _is_broken(v)]
    broken = [
        layer_of(v)
        for v in model.variables
        # Keras names a slot after its variable.
        if _is_broken(v) or any(slot.startswith(v.path.replace("/", "_") + "_") for slot in slots)
    ]
    return list(dict.fromkeys(broken))


def layer_of(variable: Any) -> str:
    """Gives the path of the layer that a variable belongs to."""
    return variable.path.rpartition("/")[0] or variable.path


def _is_float(variable: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(variable.dtype)


def _is_broken(variable: Any) -> bool:
    return _is_float(variable) and not bool(ops.all(ops.isfinite(variable.value)))
