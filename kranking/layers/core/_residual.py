"""Residual connection."""

import keras

from kranking._core import serializable
from kranking.layers._contract._flow import build, gives_of, takes_of
from kranking.layers._contract._work import Work, elements, work_of


@serializable
class Residual(keras.layers.Layer):
    """Adds the input of a layer to its output, `y = x + block(x)`.

    Args:
        block: A Keras layer whose output has the shape of its input.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: any shape that `block` accepts.
    Output shape: the input shape.
    Raises: `ValueError` at build time if the block changes the shape; add a `keras.layers.Dense` of
        the right width before the block or at its end.

    >>> block = kr.layers.MLP([6], kernel_initializer="zeros")
    >>> y = kr.layers.Residual(block)(np.ones((1, 6), "float32"))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]

    Reference: [He et al., 2016](https://arxiv.org/abs/1512.03385)
    """

    def __init__(self, block: keras.layers.Layer, **kwargs):
        if not isinstance(block, keras.layers.Layer):
            raise ValueError(f"`block` must be a Keras layer. Received: block={block!r}")
        super().__init__(**kwargs)
        self.block = block

    @property
    def takes(self):
        """The view that the block takes."""
        return takes_of(self.block)

    @property
    def gives(self):
        """The kind of tensor that the block outputs."""
        return gives_of(self.block)

    @property
    def inner_layers(self):
        """The block, in which a model builder fills in attributes too."""
        return (self.block,)

    def build(self, input_shape):
        """Builds the block."""
        build(self.block, input_shape)
        self.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        """Adds the input to the block's output."""
        return inputs + self.block(inputs)

    def compute_output_shape(self, input_shape):
        """Returns the input shape; raises `ValueError` if the block changes it."""
        output_shape = tuple(self.block.compute_output_shape(input_shape))
        if output_shape != tuple(input_shape):
            raise ValueError(
                f"`block` of `{self.name}` must keep the shape of its input, {tuple(input_shape)}. "
                f"Received: {self.block.name!r} with output shape {output_shape}"
            )
        return output_shape

    def work(self, input_shape) -> Work:
        """Returns the work of the block; the sum saves the output once more."""
        return work_of(self.block, input_shape) + Work(saved_elements=elements(input_shape))

    def get_config(self):
        """Returns the constructor arguments, with the block serialized."""
        return {
            **super().get_config(),
            "block": keras.saving.serialize_keras_object(self.block),
        }

    @classmethod
    def from_config(cls, config):
        """Deserializes the block and creates the layer."""
        block = keras.saving.deserialize_keras_object(config["block"])
        return cls(**{**config, "block": block})
