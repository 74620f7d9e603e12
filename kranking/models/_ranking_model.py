"""Ranking model from the columns of a log to probabilities of actions."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from kranking._core import as_tuple, serializable
from kranking.features import Feature, Preprocessor, Task
from kranking.features.internal import to_config
from kranking.models._arguments import as_features, as_heads, as_tasks
from kranking.models._auxiliary import Auxiliary
from kranking.models._batch_rows import RowWeights, weigh_replica
from kranking.models._block_model import BlockModel
from kranking.models._call_arguments import call_arguments, compile_arguments
from kranking.models._distribution import first_batch_divides
from kranking.models._fit_start import with_fit_start
from kranking.models._inputs import declared_inputs, input_specs
from kranking.models._objectives import build_trackers, objectives_of
from kranking.models._probabilities import Probabilities
from kranking.models._progress_line import with_progress_line
from kranking.models._reader_errors import reader_errors
from kranking.models._task_metrics import directions_of
from kranking.models._training_data import TrainingData
from kranking.models._walk import call_layers
from kranking.models._weights import weights_enabled
from kranking.optimizers import sum_repeated_ids
from kranking.optimizers.internal import track_product


@serializable
class RankingModel(BlockModel):
    """A ranking model as a list of blocks between feature declarations and tasks.

    `fields = encoder(inputs)`, `x = view(fields)`, `x = block(x)` for each block, `logit_t = head_t(x)`.
    The model inserts adapters: the view that the first block needs (a flat vector, tokens, …), and
    flattening between tokens and a block on flat vectors. All of them are listed in `summary()`.

    The outputs of the model are float32 logits, the inputs of losses; `predict` returns probabilities.

    Args:
        features: Fitted feature declarations.
        blocks: Layers of kranking or Keras, in order. More can be added with `add`.
        tasks: Tasks to predict.
        heads: Layer from `(batch, width)` to `(batch, tasks)` logits. `None` means
            `kranking.layers.SharedBottom()`, one linear logit per task.
        **kwargs: Keyword arguments of `keras.Model`. `dtype` applies to the encoder and the adapters; for
            mixed precision throughout, call `keras.config.set_dtype_policy` before creating the blocks.
            Heads always compute in float32.

    Call arguments: a dict of inputs by name, from `model.preprocess(columns)` or a reader.
    Output: a dict of logits `(batch, 1)` by task name.

    >>> model = kr.RankingModel(
    ...     [kr.features.Numeric("age", mean=40.0, std=10.0)],
    ...     [kr.layers.MLP([8])],
    ...     [kr.Task("save")],
    ... )
    >>> model.predict({"age": [31, 40, 55]}, verbose=0)["save"].shape
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
        # No autocast, since ages in seconds do not fit into half precision. The layers cast themselves.
        super().__init__(declared, as_heads(heads), len(actions), autocast=False, **kwargs)
        self._tasks, self._preprocessor = actions, Preprocessor(declared)
        self._data = TrainingData(self._preprocessor, actions)
        self._auxiliary = Auxiliary(self._tasks, None)
        self._row_weights, self.log_directions = RowWeights(()), {}
        for block in as_tuple("blocks", blocks, "layers"):
            self.add(block)
        if self.blocks and weights_enabled():
            self.build()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the model predicts."""
        return self._tasks

    @property
    def preprocessor(self) -> Preprocessor:
        """The transform from the columns of a log to the model inputs, on the host."""
        return self._preprocessor

    def preprocess(self, rows: Any) -> dict[str, Any]:
        """Converts rows, of any kind that `features.fit` accepts, to the model inputs."""
        return self._preprocessor(rows)

    def __call__(self, inputs, *args, **kwargs):
        """Returns logits of model inputs, or of rows of a log, which are encoded first."""
        return super().__call__(self._data.arguments(inputs), *args, **kwargs)

    def call(self, inputs, training=None):
        inputs = declared_inputs(inputs, self._preprocessor.inputs)
        # `training` is passed explicitly: on JAX, Keras calls this method without its call context.
        needed = self.stack[0].needs_fields
        fields = self.encoder(inputs, training=training) if needed else {}
        return self.logits_of(fields, inputs, training)

    def hidden(self, inputs, training=None):
        """Computes what the heads read: the last hidden vector `(batch, width)` of model inputs or rows."""
        inputs = declared_inputs(self._data.arguments(inputs), self._preprocessor.inputs)
        return super().hidden(inputs, training)

    def logits_of(self, fields: Mapping[str, Any], inputs: Mapping[str, Any], training=None):
        """Computes the logits from the fields that the encoder computed from these inputs."""
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
        """Converts logits to the probabilities of the actions, the only place that does so."""
        return {task.name: ops.sigmoid(logits[task.name]) for task in self._tasks}

    def fit(self, x=None, *args, **kwargs):
        """Trains like `keras.Model.fit`; unreadable rows raise the original error of the reader.

        The default `verbose="auto"` shows the loss and the AUC of each task; 1 and 2 show all metrics.
        With `initial_epoch`, and with `keras.callbacks.BackupAndRestore`, a reader returns the rows of that
        epoch.
        """
        given = with_progress_line(super().fit, x, *args, **kwargs)
        data = self._data.of_fit(with_fit_start(x, given, self))
        sources = x, given.get("validation_data"), self._data.batches
        with reader_errors(self, *sources), first_batch_divides(self):
            return super().fit(**data)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluates like `keras.Model.evaluate`, on logits; `verbose` is that of `fit`."""
        given = with_progress_line(super().evaluate, x, *args, **kwargs)
        data = self._data.of_evaluate(given)
        with reader_errors(self, x, self._data.batches), first_batch_divides(self):
            return super().evaluate(**data)

    def predict(self, x, *args, **kwargs) -> dict[str, Any]:
        """Returns probabilities, a dict of float32 arrays `(rows, 1)` by task name."""
        given = call_arguments(super().predict, x, *args, **kwargs)
        with reader_errors(self, x, self._data.unlabeled):
            logits = super().predict(**{**given, "x": self._data.inputs(x)})
        return {k: ops.convert_to_numpy(p) for k, p in self.probabilities(logits).items()}

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """Takes one step on a batch of rows, which are encoded and checked as in `fit`."""
        batch = self._data.of_batch(x, y, sample_weight, class_weight)
        return super().train_on_batch(*batch, return_dict=return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Evaluates one batch of rows, which are encoded and checked as in `evaluate`."""
        return super().test_on_batch(*self._data.of_batch(x, y, sample_weight), return_dict)

    def predict_on_batch(self, x) -> dict[str, Any]:
        """Returns the probabilities of one batch, like `predict`."""
        logits = super().predict_on_batch(dict(self._data.encode(x)))
        return {k: ops.convert_to_numpy(p) for k, p in self.probabilities(logits).items()}

    def compile(self, optimizer="adam", loss=None, loss_weights=None, metrics=None, **kwargs):
        """Configures training; losses, weights and metrics default to those of the tasks.

        The losses of tasks in the logs of `fit` and `evaluate` are means over all rows, Σ w · loss / rows
        with sample weights w.

        Args:
            optimizer: Keras optimizer or its name.
            loss: A loss on logits for all tasks, or a dict of them by task name. `None` means binary
                cross-entropy.
            loss_weights: Loss weights by task name. `None` means the `weight` of each task.
            metrics: Unweighted metrics, a list for all tasks or a dict by task; with `from_logits=True` on
                logits, else on probabilities. `weighted_metrics` (default: normalized entropy, calibration,
                binned AUC) ignore rows in which an action was not observed.
            **kwargs: Other arguments of `keras.Model.compile`. `jit_compile="auto"` compiles with XLA
                except on TensorFlow without a GPU, where it would halve the speed.

        Raises:
            ValueError: If an argument is wrong, such as a loss that expects probabilities.
        """
        self._requested_jit = kwargs.get("jit_compile", "auto")
        kwargs = compile_arguments(optimizer, kwargs)
        kwargs |= objectives_of(self._tasks, loss, loss_weights, {**kwargs, "metrics": metrics})
        self.build()
        super().compile(**kwargs)
        sum_repeated_ids(self.optimizer, bool(self.jit_compile))
        track_product(self.optimizer, self.trainable_variables)
        self._row_weights = build_trackers(self._compile_loss, self._tasks)
        self._auxiliary = Auxiliary(self._tasks, kwargs["loss_weights"])
        self.log_directions = directions_of(self._tasks, kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Computes the weighted loss of the tasks and, in training, the auxiliary losses."""
        with self._row_weights.of(y_pred):
            loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        if not training:
            return loss
        extra = self._auxiliary(self.stack, y, y_pred, sample_weight)
        loss = loss if extra is None else loss + extra
        return weigh_replica(loss, self.losses, y_pred)

    def get_compile_config(self):
        """Returns the `compile` arguments; the use of XLA is decided on the machine that loads."""
        config = super().get_compile_config()
        return {**config, "jit_compile": self._requested_jit} if config else config

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Exports probabilities like `keras.Model.export`; `kranking.export` also checks them."""
        self.build()
        signature = input_signature or [input_specs(self._preprocessor.inputs)]
        return Probabilities(self).export(filepath, *args, input_signature=signature, **kwargs)

    def compile_from_config(self, config):
        """Compiles the model as it was saved, and creates the slots of the optimizer."""
        self.compile(**keras.saving.deserialize_keras_object(config))
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
        """Creates an untrained model from the output of `get_config`."""
        config = dict(config)
        revive = keras.saving.deserialize_keras_object
        config["blocks"] = [revive(b, custom_objects=custom_objects) for b in config["blocks"]]
        config["heads"] = revive(config["heads"], custom_objects=custom_objects)
        model = cls(**config)
        model.build()
        return model
