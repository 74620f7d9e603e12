"""One optimizer for embedding tables and another for everything else."""

from typing import Any

import keras

from kranking._core import serializable
from kranking.ops import is_embedding_table
from kranking.optimizers._as_optimizer import as_optimizer


@serializable
class Split(keras.optimizers.Optimizer):
    """Trains embedding tables with one optimizer and all other weights with another, in one `compile`.

    Clipping, gradient accumulation and averages that are given here see all gradients together; those of
    `tables` and `dense` see their own. `learning_rate` is that of `dense`; setting it, as callbacks do,
    multiplies the rate of `tables` by the same factor.

    Args:
        tables: Keras optimizer of the variables marked by `kranking.ops.embedding_table`: the tables of
            features, and those of layers that look up rows.
        dense: Keras optimizer of all other variables.
        **kwargs: Keyword arguments of `keras.optimizers.Optimizer`, such as `global_clipnorm`.

    Raises:
        ValueError: If a part is no Keras optimizer, or a model has no table.

    >>> rows, weights = kr.optimizers.RowWiseAdagrad(0.02), keras.optimizers.Adam(1e-3)
    >>> optimizer = kr.optimizers.Split(rows, weights, global_clipnorm=1.0)
    >>> optimizer.learning_rate = 5e-4  # half as much
    >>> round(float(optimizer.tables.learning_rate), 6)
    0.01
    """

    def __init__(self, tables: Any, dense: Any, name: str = "split", **kwargs):
        for argument in ("learning_rate", "weight_decay", "loss_scale_factor"):
            if kwargs.pop(argument, None) is not None:
                raise ValueError(
                    f"`Split` has no `{argument}`. Pass it to the optimizers that it is made of."
                )
        super().__init__(learning_rate=0.0, name=name, **kwargs)
        self.tables, self.dense = as_optimizer(tables, "tables"), as_optimizer(dense, "dense")

    @property
    def parts(self) -> tuple[Any, Any]:
        """Both optimizers: that of tables and that of other variables."""
        return self.tables, self.dense

    def build(self, variables):
        """Creates the slots of both optimizers."""
        if self.built:
            return
        variables = list(variables)
        if not any(map(is_embedding_table, variables)):
            raise ValueError(
                "`Split` found no embedding table among the variables. Expected: a model with tables, such "
                f"as those of `Categorical` features. Received: {[v.path for v in variables]}. Use the "
                "optimizer of the other variables alone."
            )
        super().build(variables)
        for part, some in zip(self.parts, _in_two(variables, variables), strict=True):
            part.build(some)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        variables = [
            self._trainable_variables[self._get_variable_index(v)] for v in trainable_variables
        ]
        some = zip(
            self.parts, _in_two(grads, variables), _in_two(variables, variables), strict=True
        )
        for part, gradients, of_part in some:
            if of_part:
                part.apply(gradients, of_part)

    @property
    def variables(self):
        """Variables of this optimizer and of both parts."""
        return [*super().variables, *(v for part in self.parts for v in part.variables)]

    @property
    def learning_rate(self):
        """Learning rate of `dense`."""
        return self.dense.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        before = float(keras.ops.convert_to_numpy(self.dense.learning_rate))
        if not before:
            raise ValueError(
                "The learning rate of `dense` is 0: the factor of that of `tables` is not defined. Set "
                "`optimizer.tables.learning_rate` and `optimizer.dense.learning_rate`."
            )
        of_tables = float(keras.ops.convert_to_numpy(self.tables.learning_rate))
        self.dense.learning_rate = learning_rate
        self.tables.learning_rate = of_tables * float(learning_rate) / before

    def set_weights(self, weights):
        """Sets the values of `variables`."""
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)

    def save_own_variables(self, store):
        """Saves the variables of this optimizer; Keras saves those of the parts beside them."""
        for index, variable in enumerate(super().variables):
            store[str(index)] = keras.ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Loads what `save_own_variables` saved."""
        for index, variable in enumerate(super().variables):
            variable.assign(store[str(index)])

    def finalize_variable_values(self, var_list):
        """Replaces variables by their averages, where an optimizer keeps some."""
        super().finalize_variable_values(var_list)
        for part, some in zip(self.parts, _in_two(var_list, var_list), strict=True):
            part.finalize_variable_values(some)

    def get_config(self):
        """Returns the arguments of the constructor."""
        config = super().get_config()
        for argument in ("learning_rate", "weight_decay", "loss_scale_factor"):
            config.pop(argument, None)
        names = ("tables", "dense")
        return config | {n: keras.optimizers.serialize(getattr(self, n)) for n in names}


def _in_two(values: Any, variables: Any) -> tuple[list[Any], list[Any]]:
    """Returns the values that belong to tables, and the others."""
    pairs = list(zip(values, variables, strict=True))
    tables = [value for value, variable in pairs if is_embedding_table(variable)]
    return tables, [value for value, variable in pairs if not is_embedding_table(variable)]
