"""DHEN layer: an ensemble of interaction modules."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import (
    check_choice,
    check_number,
    fresh,
    serializable,
)
from kranking.layers._contract._flow import build, select_inputs, takes_of
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, work_of
from kranking.layers.core._token_linear import TokenLinear
from kranking.layers.mixing._dhen_plan import (
    by_view,
    check_modules,
    check_num_tokens,
    copy_if_open,
    planned,
    takes_of_modules,
)

ENSEMBLES = ("concat", "sum", "weighted_sum")


@serializable
class DHENLayer(keras.layers.Layer):
    """DHEN layer: an ensemble of interaction modules that read the same tokens.

    `Y = Norm(Ensᵢ Intᵢ(X) + ShortCut(X))`. Any Keras layer can be a module. A module that takes a
    flat vector reads `vec(X)`. If a module outputs a number of tokens other than its share `lᵢ`, a
    `TokenLinear` follows; if it outputs a vector of width `h`, a projection `h → lᵢ · dim` without
    bias follows, reshaped to tokens. The layer also takes the other views that its modules take,
    such as raw numeric features or ids. `ShortCut` is the identity if the output has as many tokens
    as the input, otherwise a `TokenLinear`. By default the layer keeps the number of tokens:
    `"concat"` splits it evenly among the modules without an explicit `num_tokens` (at least one
    each), and in a sum each module outputs as many tokens as the input has. `field_dims` and
    `num_tokens` of modules are filled in if they are `None`.

    Args:
        modules: List of one or more Keras layers, stored in the attribute `blocks`.
        num_tokens: Number of output tokens of each module, or a list of one number per module.
            `None` selects the default above.
        ensemble: `"concat"` concatenates along the token axis, in the order of the modules; `"sum"`
            adds; `"weighted_sum"` adds with a learned weight per module, initialized to 1.
        norm: `"layer"` for layer normalization over dim, which the paper mentions as an option, or
            `None`.
        epsilon: Epsilon of the norm.
        kernel_initializer: Initializer of the projections added by the layer.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`, or a list of it and the other views that modules take, in
        the order of `takes`, such as raw numeric features `(batch, n)` for `"numeric"`.
    Output shape: `(batch, Σ lᵢ, dim)` for `"concat"`, otherwise `(batch, l, dim)`.

    >>> layer = kr.layers.DHENLayer([kr.layers.DHENCross(), kr.layers.TokenLinear(1)])
    >>> tuple(layer(np.ones((2, 5, 4), "float32")).shape)
    (2, 5, 4)

    Reference: [Zhang et al., 2022](https://arxiv.org/abs/2203.11014)
    """

    gives = "tokens"
    shows_fields = False  # the flat vector of its modules is the flattened tokens

    def __init__(
        self,
        modules: Sequence[keras.layers.Layer],
        num_tokens: int | Sequence[int] | None = None,
        ensemble: str = "concat",
        norm: str | None = "layer",
        epsilon: float = 1e-5,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        blocks = check_modules(modules)
        check_choice("ensemble", ensemble, ENSEMBLES)
        check_choice("norm", norm, ("layer", None))
        check_number("epsilon", epsilon, low=0.0)
        super().__init__(**kwargs)
        # Not `modules`: on PyTorch a layer is a torch.nn.Module, which has a method of that name.
        self.blocks = blocks
        self.num_tokens = check_num_tokens(num_tokens, len(blocks), ensemble)
        self.ensemble = ensemble
        self.norm = norm
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @property
    def takes(self):
        """`"tokens"`, or a tuple of it and the other views that modules take."""
        return takes_of_modules(self.blocks)

    @property
    def inner_layers(self):
        """The inner layers, to which the number of tasks and auxiliary losses are propagated."""
        return self.blocks

    def build(self, input_shape):
        """Builds the modules and their projections, the shortcut and the norm."""
        plan = planned(self, self.blocks, input_shape)
        tokens, dim = check_tokens(self, shapes_of(input_shape)[0])
        self.projections = []
        for block, (view, output, count) in zip(self.blocks, plan, strict=True):
            build(block, view)
            projection = self._projection(len(self.projections), output, count, dim)
            if projection is not None:
                projection.build(output)
            self.projections.append(projection)
        self.ensemble_weights = None
        if self.ensemble == "weighted_sum":
            self.ensemble_weights = self.add_weight(
                shape=(len(plan),), initializer="ones", name="ensemble_weights"
            )
        total = self._total(plan)
        self.shortcut = None if total == tokens else self._token_linear(len(plan), total)
        if self.shortcut is not None:
            self.shortcut.build((None, tokens, dim))
        self.normalization = None
        if self.norm is not None:
            self.normalization = keras.layers.LayerNormalization(
                epsilon=self.epsilon, name="norm", dtype=self.dtype_policy
            )
            self.normalization.build((None, total, dim))

    def call(self, inputs, training=None):
        """Applies the modules, combines their tokens, and adds the shortcut."""
        given = by_view(self.takes, inputs)
        tokens = given["tokens"]
        count, dim = tokens.shape[1:]
        made = {**given, None: tokens, "flat": ops.reshape(tokens, (-1, count * dim))}
        outputs = []
        for block, projection in zip(self.blocks, self.projections, strict=True):
            output = block(select_inputs(made, takes_of(block)))
            if projection is not None:
                output = projection(output)
            if len(output.shape) == 2:
                output = ops.reshape(output, (-1, output.shape[1] // dim, dim))
            outputs.append(output)
        outputs = self._join(outputs)
        outputs = outputs + (tokens if self.shortcut is None else self.shortcut(tokens))
        return outputs if self.normalization is None else self.normalization(outputs)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, tokens, dim)`."""
        shape = shapes_of(input_shape)[0]
        plan = planned(self, [copy_if_open(block) for block in self.blocks], input_shape)
        return (shape[0], self._total(plan), shape[-1])

    def work(self, input_shape) -> Work:
        """Sums the work of the modules and of their projections, `m·l` or `h·l·D` parameters each.

        The shortcut adds `m·m_Y` parameters unless it is the identity, the norm `2D`, and
        `"weighted_sum"` one per module.
        """
        tokens, dim = check_tokens(self, shapes_of(input_shape)[0])
        blocks = [copy_if_open(block) for block in self.blocks]
        plan = planned(self, blocks, input_shape)
        total = Work(len(plan) if self.ensemble == "weighted_sum" else 0)
        for index, (block, (view, output, count)) in enumerate(zip(blocks, plan, strict=True)):
            total += work_of(block, view)
            projection = self._projection(index, output, count, dim)
            if projection is not None:
                total += work_of(projection, output)
        outputs = self._total(plan)
        if outputs != tokens:
            total += self._token_linear(0, outputs).work((None, tokens, dim))
        if self.norm is not None:
            total += Work(2 * dim, 0, outputs * dim)
        # The combined modules, and the sum with the shortcut.
        return total + Work(saved_elements=2 * outputs * dim)

    def get_config(self):
        """Returns the constructor arguments, with the modules serialized."""
        return {
            **super().get_config(),
            "modules": [keras.saving.serialize_keras_object(block) for block in self.blocks],
            "num_tokens": self.num_tokens,
            "ensemble": self.ensemble,
            "norm": self.norm,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    @classmethod
    def from_config(cls, config):
        """Deserializes the modules and creates the layer."""
        modules = [keras.saving.deserialize_keras_object(m) for m in config["modules"]]
        return cls(**{**config, "modules": modules})

    def _total(self, plan):
        """Returns the number of output tokens."""
        counts = [count for _, _, count in plan]
        return sum(counts) if self.ensemble == "concat" else counts[0]

    def _projection(self, index, output, count, dim):
        """Returns the unbuilt projection after a module, or `None` if its number of tokens fits."""
        if len(output) == 3:
            return None if output[1] == count else self._token_linear(index, count)
        return keras.layers.Dense(
            count * dim,
            use_bias=False,
            kernel_initializer=fresh(self.kernel_initializer, index),
            name=f"projection_{index}",
            dtype=self.dtype_policy,
        )

    def _token_linear(self, index, count):
        return TokenLinear(
            count,
            kernel_initializer=fresh(self.kernel_initializer, index),
            name="shortcut" if index == len(self.blocks) else f"projection_{index}",
            dtype=self.dtype_policy,
        )

    def _join(self, outputs):
        if self.ensemble == "concat":
            return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=1)
        if self.ensemble_weights is not None:
            weights = ops.cast(self.ensemble_weights, self.compute_dtype)
            outputs = [weights[index] * output for index, output in enumerate(outputs)]
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output
        return total
