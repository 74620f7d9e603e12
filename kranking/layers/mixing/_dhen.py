"""Deep hierarchical ensemble network (DHEN)."""

from collections.abc import Sequence

import keras

from kranking._core import fresh, serializable
from kranking.layers._contract._flow import select_inputs
from kranking.layers._contract._work import Work
from kranking.layers.mixing._dhen_layer import DHENLayer
from kranking.layers.mixing._dhen_plan import (
    by_view,
    check_given,
    check_later_modules,
    takes_of_modules,
)


@serializable
class DHEN(keras.layers.Layer):
    """Deep hierarchical ensemble network (DHEN): stacked ensembles of interaction modules.

    `X[n+1] = Norm(Ensᵢ Intₙᵢ(X[n]) + ShortCut(X[n]))`: each inner list of modules is a `DHENLayer`,
    and all layers share the settings. Modules may differ between layers. Raw numeric features are
    passed to every module that takes `"numeric"`, in any layer. Other views of the fields, such as
    the ids of `HCNet`, are only available in the first layer, whose tokens are the fields; later
    layers read mixed tokens.

    To pass raw numeric features to a module that does not take them, use
    `keras.Sequential([Concatenate(("flat", "numeric")), CrossNetwork()])`.

    Args:
        modules: List of lists of Keras layers, one inner list per DHEN layer.
        num_tokens: Number of output tokens of each module. `None` keeps the number of input tokens.
        ensemble: `"concat"`, `"sum"` or `"weighted_sum"`.
        norm: `"layer"` or `None`.
        epsilon: Epsilon of the norms.
        kernel_initializer: Initializer of the projections added by the layers.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`, or a list of it and the other views that modules take, in
        the order of `takes`, such as raw numeric features `(batch, n)` for `"numeric"`.
    Output shape: `(batch, tokens, dim)`, with the number of tokens of the last layer.
    Raises: `ValueError` if a module of a later layer takes a view of the fields.

    >>> layer = kr.layers.DHEN(
    ...     [
    ...         [kr.layers.CrossNetwork(2), kr.layers.ParallelMaskNet(block_dim=8)],
    ...         [kr.layers.TransformerEncoderLayer(), kr.layers.TokenLinear(2)],
    ...     ]
    ... )
    >>> tuple(layer(np.ones((2, 5, 4), "float32")).shape)
    (2, 5, 4)

    Reference: [Zhang et al., 2022](https://arxiv.org/abs/2203.11014)
    """

    gives = "tokens"
    shows_fields = False  # the flat vector of its modules is the flattened tokens

    def __init__(
        self,
        modules: Sequence[Sequence[keras.layers.Layer]],
        num_tokens: int | None = None,
        ensemble: str = "concat",
        norm: str | None = "layer",
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        good = isinstance(modules, list | tuple) and len(modules) > 0
        if not good or not all(isinstance(each, list | tuple) for each in modules):
            raise ValueError(
                "`modules` must be a non-empty list of lists of Keras layers, one list per layer. "
                f"Received: modules={modules!r}"
            )
        once = {id(module) for each in modules for module in each}
        if len(once) < sum(map(len, modules)):
            raise ValueError(
                "`modules` must be distinct layers: a repeated layer would share its weights. "
                f"Received: {[module.name for each in modules for module in each]}"
            )
        super().__init__(**kwargs)
        self.num_tokens = num_tokens
        self.ensemble = ensemble
        self.norm = norm
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.steps = []
        first = 0
        for index, each in enumerate(modules):
            if index:
                check_later_modules(each, index)
            initializer = fresh(self.kernel_initializer, first)
            first += len(each) + 1  # one projection per module, and the shortcut
            self.steps.append(
                DHENLayer(
                    each,
                    num_tokens,
                    ensemble,
                    norm,
                    epsilon,
                    initializer,
                    name=f"layer_{index}",
                    dtype=self.dtype_policy,
                )
            )

    @property
    def takes(self):
        """`"tokens"`, or a tuple of it and the other views that modules take."""
        return takes_of_modules(self.steps)

    @property
    def inner_layers(self):
        """The inner layers, to which the number of tasks and auxiliary losses are propagated."""
        return self.steps

    def build(self, input_shape):
        """Builds all layers."""
        for step, shape in self._shapes(input_shape):
            step.build(shape)

    def call(self, inputs, training=None):
        """Applies the layers, each with the tokens and the other views that it takes."""
        given = by_view(self.takes, inputs)
        for step in self.steps:
            given["tokens"] = step(select_inputs(given, step.takes))
        return given["tokens"]

    def compute_output_shape(self, input_shape):
        """Returns the output shape of the last layer."""
        step, shape = self._shapes(input_shape)[-1]
        return step.compute_output_shape(shape)

    def work(self, input_shape) -> Work:
        """Sums the work of the layers."""
        return sum((step.work(shape) for step, shape in self._shapes(input_shape)), Work())

    def get_config(self):
        """Returns the constructor arguments, with the modules serialized."""
        return {
            **super().get_config(),
            "modules": [
                [keras.saving.serialize_keras_object(block) for block in step.blocks]
                for step in self.steps
            ],
            "num_tokens": self.num_tokens,
            "ensemble": self.ensemble,
            "norm": self.norm,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    @classmethod
    def from_config(cls, config):
        """Deserializes the modules and creates the layers."""
        revive = keras.saving.deserialize_keras_object
        modules = [[revive(module) for module in each] for each in config["modules"]]
        return cls(**{**config, "modules": modules})

    def _shapes(self, input_shape):
        """Returns each layer with its input shape."""
        given, pairs = check_given(self, input_shape), []
        for step in self.steps:
            pairs.append((step, select_inputs(given, step.takes)))
            given["tokens"] = step.compute_output_shape(pairs[-1][1])
        return pairs
