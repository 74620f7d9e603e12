"""From a log's columns to K action probabilities: encoder, blocks, heads."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from kranking._core import serializable
from kranking.features import Feature, Preprocessor, Task
from kranking.features.internal import to_config
from kranking.models._arguments import as_features, as_heads, as_tasks
from kranking.models._auxiliary import Auxiliary
from kranking.models._block_model import BlockModel
from kranking.models._distribution import check_distributable, resolve_jit
from kranking.models._inputs import declared_inputs, input_specs
from kranking.models._loss_scale import watch_every_row
from kranking.models._objectives import build_trackers, objectives_of
from kranking.models._reader_errors import reader_errors
from kranking.models._rows import check_labels, check_order, check_rows
from kranking.models._walk import call_layers
from kranking.models._weights import weights_enabled


@serializable
class RankingModel(BlockModel):
    """A ranking model as a list of blocks between a log's columns and its tasks.

    `fields = encoder(inputs)`, `x = view(fields)`, `x = block(x)` for each block, `logit_t = head_t(x)`.
    The builder gives the first block what it takes (a flat vector, tokens, …), flattens tokens where
    a flat block follows, and shows each such adapter in `summary()`.

    The model computes float32 logits, on which losses and metrics work. `predict` gives probabilities.

    Args:
        features: Fitted declarations.
        blocks: Layers, kranking's or Keras's, in order. More by `add`.
        tasks: The actions to predict.
        heads: Layer from `(batch, width)` to `(batch, tasks)` logits. `None` takes
            `kranking.layers.SharedBottom()`, one linear logit per task.
        **kwargs: Keyword arguments of `keras.Model`. `dtype` reaches what the builder makes; for mixed
            precision throughout, call `keras.config.set_dtype_policy` before making the blocks. Heads
            compute in float32 always.

    Call arguments: a dict of inputs by name, as `model.preprocess(columns)` or a reader gives them.
    Output: a dict, by task name, of logits `(batch, 1)`.

    >>> model = kr.RankingModel(
    ...     [kr.features.Numeric("age", mean=40.0, std=10.0)],
    ...     [kr.layers.MLP([8])],
    ...     [kr.Task("save")],
    ... )
    >>> model.predict({"age": np.zeros(3, "float32")}, verbose=0)["save"].shape
    (3, 1)
    """

    def __init__(
        self,
        features: Iterable[Feature | Mapping[str, Any]],
        blocks: Iterable[keras.layers.Layer] = (),
        tasks: Iterable[Task | Mapping[str, Any]] = (),
        heads: keras.layers.Layer | None = None,
        **kwargs,
    ):
        declared, actions = as_features(features), as_tasks(tasks)
        # Without autocast: ages in seconds do not fit in half precision. The layers cast for themselves.
        super().__init__(declared, as_heads(heads), len(actions), autocast=False, **kwargs)
        self._tasks = actions
        self._preprocessor = Preprocessor(declared)
        self._auxiliary = Auxiliary(self._tasks, None)
        for block in blocks:
            self.add(block)
        if self.blocks and weights_enabled():
            self.build()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The actions that are predicted."""
        return self._tasks

    @property
    def preprocessor(self) -> Preprocessor:
        """The host's transform from a log's columns to this model's inputs."""
        return self._preprocessor

    def preprocess(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Turns a log's columns into this model's inputs."""
        return self._preprocessor(columns)

    def call(self, inputs, training=None):
        inputs = declared_inputs(inputs, self._preprocessor.inputs)
        # Handed on by hand: on JAX, Keras calls this method without the context that would do it.
        needed = self.stack[0].needs_fields
        fields = self.encoder(inputs, training=training) if needed else {}
        return self.logits_of(fields, inputs, training)

    def logits_of(self, fields: Mapping[str, Any], inputs: Mapping[str, Any], training=None):
        """Gives the logits from fields that the encoder made of these inputs, all at once or in parts."""
        logits: Any = call_layers(self.stack, fields, inputs, training)
        logits = ops.cast(logits, "float32")  # (batch, tasks)
        return {task.name: logits[:, i : i + 1] for i, task in enumerate(self._tasks)}

    def compute_output_shape(self, input_shape):
        batch = next(iter(input_shape.values()))[0]
        return {task.name: (batch, 1) for task in self._tasks}

    def compute_output_spec(self, inputs, training=None):
        inputs = declared_inputs(inputs, self._preprocessor.inputs)
        shapes = self.compute_output_shape({name: x.shape for name, x in inputs.items()})
        return {name: keras.KerasTensor(shape, "float32") for name, shape in shapes.items()}

    def probabilities(self, logits: Mapping[str, Any]) -> dict[str, Any]:
        """Gives the probability of each action from its logit: the one way from one to the other."""
        return {task.name: ops.sigmoid(logits[task.name]) for task in self._tasks}

    def fit(self, x=None, *args, **kwargs):
        """Trains as `keras.Model.fit`; rows that cannot be read raise the reader's own error."""
        self._check(x, args[0] if args else kwargs.get("y"))
        with reader_errors(self, x, kwargs.get("validation_data")):
            return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluates as `keras.Model.evaluate`, on logits."""
        self._check(x, args[0] if args else kwargs.get("y"))
        with reader_errors(self, x):
            return super().evaluate(x, *args, **kwargs)

    def _check(self, x, y):
        check_rows(x, self._preprocessor.inputs)
        check_labels(y, [task.name for task in self._tasks])

    def predict(self, x, *args, **kwargs) -> dict[str, Any]:
        """Gives probabilities, a dict of float32 arrays `(rows, 1)` by task name."""
        check_rows(x, self._preprocessor.inputs)
        check_order(x)
        with reader_errors(self, x):
            logits = super().predict(x, *args, **kwargs)
        return {k: ops.convert_to_numpy(p) for k, p in self.probabilities(logits).items()}

    def predict_on_batch(self, x) -> dict[str, Any]:
        """Gives the probabilities of one batch, as `predict`."""
        logits = super().predict_on_batch(x)
        return {k: ops.convert_to_numpy(p) for k, p in self.probabilities(logits).items()}

    def compile(self, optimizer="adam", loss=None, loss_weights=None, metrics=None, **kwargs):
        """Prepares training; what is not given comes from the tasks.

        Args:
            optimizer: Keras optimizer or its name.
            loss: A loss on logits for all tasks, or a dict of them. `None` is binary cross-entropy.
            loss_weights: `None` takes each task's `weight`.
            metrics: Unweighted metrics. Those of the tasks (normalized entropy, calibration, binned
                AUC) are weighted ones, so that rows where an action was not observed do not count.
            **kwargs: Other arguments of `keras.Model.compile`. `jit_compile="auto"` compiles with XLA where
                that pays: not on TensorFlow without a GPU, where it halves the speed.
        """
        check_distributable(optimizer, kwargs)
        self._requested_jit = kwargs.get("jit_compile", "auto")
        kwargs["jit_compile"] = resolve_jit(self._requested_jit)
        kwargs |= objectives_of(self._tasks, loss, loss_weights, kwargs)
        self.build()
        super().compile(optimizer, metrics=metrics, **kwargs)
        watch_every_row(self.optimizer)
        build_trackers(self._compile_loss, self._tasks)
        self._auxiliary = Auxiliary(self._tasks, kwargs["loss_weights"])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Gives the tasks' weighted loss and, in training, what blocks with auxiliary logits add."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        extra = self._auxiliary(self.stack, y, y_pred, sample_weight) if training else None
        return loss if extra is None else loss + extra

    def get_compile_config(self):
        """What `compile` was called with; XLA is decided anew on the machine that loads."""
        config = super().get_compile_config()
        return {**config, "jit_compile": self._requested_jit} if config else config

    def save(self, filepath, *args, **kwargs):
        """Saves as `keras.Model.save`, with the weights that were not needed so far."""
        self.build()
        super().save(filepath, *args, **kwargs)

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Exports logits as `keras.Model.export`; `kranking.export` writes checked probabilities."""
        self.build()
        signature = input_signature or [input_specs(self._preprocessor.inputs)]
        return super().export(filepath, *args, input_signature=signature, **kwargs)

    def compile_from_config(self, config):
        """Compiles as the saved model was, and restores the optimizer's slots."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def get_config(self):
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "features": [to_config(f) for f in self.features],
            "blocks": [keras.saving.serialize_keras_object(block) for block in self.blocks],
            "tasks": [to_config(task) for task in self._tasks],
            "heads": keras.saving.serialize_keras_object(self._parts.heads),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes an untrained model from `get_config`."""
        config = dict(config)
        revive = keras.saving.deserialize_keras_object
        config["blocks"] = [revive(b, custom_objects=custom_objects) for b in config["blocks"]]
        config["heads"] = revive(config["heads"], custom_objects=custom_objects)
        model = cls(**config)
        model.build()
        return model
