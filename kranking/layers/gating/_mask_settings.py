"""Arguments shared by the mask block and the MaskNets."""

import keras

from kranking._core import check_choice, check_number, check_positive_int, check_positive_ints

LN_EMB = ("per_field", "whole", "none")


class MaskSettings(keras.layers.Layer):
    """Base class: validates, stores and serializes the settings of mask blocks."""

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        reduction_ratio,
        aggregation_dim,
        ln_emb,
        layer_norm,
        use_bias,
        activation,
        field_dims,
        epsilon,
        kernel_initializer,
        **kwargs,
    ):
        _check_aggregation(reduction_ratio, aggregation_dim)
        check_choice("ln_emb", ln_emb, LN_EMB)
        check_number("epsilon", epsilon, low=0.0)
        super().__init__(**kwargs)
        self.reduction_ratio = reduction_ratio
        self.aggregation_dim = aggregation_dim
        self.ln_emb = ln_emb
        self.layer_norm = bool(layer_norm)
        self.use_bias = bool(use_bias)
        self.activation = keras.activations.get(activation)
        self.field_dims = (
            None if field_dims is None else check_positive_ints("field_dims", field_dims)
        )
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def get_config(self):
        """Returns the shared constructor arguments."""
        return {
            **super().get_config(),
            "reduction_ratio": self.reduction_ratio,
            "aggregation_dim": self.aggregation_dim,
            "ln_emb": self.ln_emb,
            "layer_norm": self.layer_norm,
            "use_bias": self.use_bias,
            "activation": keras.activations.serialize(self.activation),
            "field_dims": self.field_dims,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _check_aggregation(reduction_ratio, aggregation_dim) -> None:
    """Raises `ValueError` if both arguments are set or either is invalid."""
    check_number("reduction_ratio", reduction_ratio, low=1e-6, optional=True)
    check_positive_int("aggregation_dim", aggregation_dim, optional=True)
    if reduction_ratio is not None and aggregation_dim is not None:
        raise ValueError(
            "`reduction_ratio` and `aggregation_dim` both set the mask's hidden width: pass one. "
            f"Received: reduction_ratio={reduction_ratio}, aggregation_dim={aggregation_dim}"
        )
