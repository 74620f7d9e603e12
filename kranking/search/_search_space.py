"""Search spaces over architectures and their hyperparameters."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import keras

from kranking import architectures as registry
from kranking._core import check_positive_int
from kranking._identity import fingerprint
from kranking.architectures import Architecture, Hyperparameter
from kranking.budget import Cost, analytic_cost
from kranking.features import Categorical, Feature, Numeric, Task, schema_hash
from kranking.features.internal import to_config
from kranking.models import RankingModel, without_weights
from kranking.search._hyperparameter_value import choice_label, hyperparameter_value

COMMON = (
    Hyperparameter("learning_rate", low=1e-4, high=1e-2, log=True, default=1e-3),
    Hyperparameter("embedding_scale", choices=(0.5, 1.0, 2.0), default=1.0),
)


@dataclass(frozen=True)
class Configuration:
    """A configuration of a model.

    Args:
        architecture: Name of the architecture.
        arguments: Arguments of the function of the architecture.
        common: Settings common to all architectures.
        tuned: Number of tuned settings, not counting the architecture.
    """

    architecture: str
    arguments: Mapping[str, Any]
    common: Mapping[str, Any]
    tuned: int


class SearchSpace:
    """Architectures and their hyperparameters, as conditional parameters of KerasTuner.

    Ranges and defaults come from the registry. Parameters are named `architecture/name`, such as
    `masknet/num_blocks`, in addition to `architecture`, `learning_rate` and `embedding_scale`, a factor on
    the widths of embedding tables. A space is a callable from `hp` to a compiled model, so it can be passed
    to any KerasTuner tuner as the hypermodel.

    Args:
        architectures: Names in the registry. The search starts from the first.
        features: Fitted declarations.
        tasks: The tasks to predict.
        parameters: Overrides by name: a constant, or a function `(hp, name)` that calls a method of `hp`,
            which returns `None` if another architecture is active. A name without an architecture, such as
            `dropout`, applies to all architectures that have it. Arguments of the function of an
            architecture that are not in its registry row are allowed.
        optimizer: Keras optimizer or its name; its learning rate is tuned.
        batch_size: Number of rows in a training step, which determines memory.
        latency_batch: Number of rows in a request, used to predict serving latency for a limit on it.

    Raises:
        ValueError: If an architecture or parameter is unknown.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> narrow = {"depth": lambda hp, name: hp.Int(name, 1, 2), "dropout": 0.0}
    >>> space = SearchSpace(["dcn_v2", "mlp"], [age], [kr.Task("save")], parameters=narrow)
    >>> space.names()[:4]
    ['architecture', 'dcn_v2/model_structure', 'dcn_v2/depth', 'dcn_v2/low_rank']
    """

    def __init__(
        self,
        architectures: Sequence[str],
        features: Iterable[Feature],
        tasks: Iterable[Task],
        *,
        parameters: Mapping[str, Any] | None = None,
        optimizer: Any = "adam",
        batch_size: int = 4096,
        latency_batch: int | None = None,
    ):
        check_positive_int("latency_batch", latency_batch, optional=True)
        check_positive_int("batch_size", batch_size)
        if isinstance(architectures, str) or not architectures:
            raise ValueError(
                f"`architectures` must be a list of names. Received: architectures={architectures!r}"
            )
        self.rows = [registry.get(name) for name in architectures]
        self.features = list(features)
        self.tasks = list(tasks)
        self.parameters = dict(parameters or {})
        self.optimizer = keras.optimizers.get(optimizer)
        self.batch_size, self.latency_batch = batch_size, latency_batch
        self._check_parameters()

    def __call__(self, hp: Any) -> RankingModel:
        """Returns the compiled model for a `keras_tuner.HyperParameters`, registering all parameters."""
        return self.compiled(self.chosen(hp))

    def compiled(self, chosen: Configuration) -> RankingModel:
        """Returns the compiled model of a configuration."""
        model = self._model(chosen)
        config = keras.optimizers.serialize(self.optimizer)
        config["config"]["learning_rate"] = float(chosen.common["learning_rate"])
        # No metrics in the graph: the objective is an exact metric of the validation rows.
        model.compile(keras.optimizers.deserialize(config), weighted_metrics=None)
        return model

    def cost(self, hp: Any) -> Cost:
        """Returns the analytic cost of a configuration without creating weights.

        Args:
            hp: `keras_tuner.HyperParameters`, or the output of `chosen`.
        """
        chosen = hp if isinstance(hp, Configuration) else self.chosen(hp)
        with without_weights():
            model = self._model(chosen)
        return analytic_cost(
            model,
            self.batch_size,
            self.optimizer,
            hyperparameters=chosen.tuned,
            latency_batch=self.latency_batch,
        )

    def fixed(self, architecture: str, arguments: Mapping[str, Any]) -> Configuration:
        """Returns a configuration outside the space, such as a baseline, with default common settings."""
        row, given = registry.get(architecture), self.parameters
        common = {c.name: given.get(c.name, c.default) for c in COMMON}
        common = {c.name: c.default if callable(common[c.name]) else common[c.name] for c in COMMON}
        open_ones = [c for c in COMMON if c.name not in given or callable(given[c.name])]
        return Configuration(
            architecture, arguments, common, len(row.hyperparameters) + len(open_ones)
        )

    def chosen(self, hp: Any) -> Configuration:
        """Registers all parameters with `hp` and returns the active configuration."""
        name = hp.Choice("architecture", [row.name for row in self.rows])
        arguments: dict[str, Any] = {}
        for row in self.rows:
            with hp.conditional_scope("architecture", [row.name]):
                found = self._arguments(hp, row)
            arguments = found if row.name == name else arguments
        common = {row.name: self._value(hp, row.name, row) for row in COMMON}
        open_ones = [p for p in hp.space if hp.is_active(p) and type(p).__name__ != "Fixed"]
        return Configuration(name, arguments, common, len(open_ones) - 1)

    def names(self) -> list[str]:
        """Returns the names of all tuned parameters."""
        return [parameter.name for parameter in self.hyperparameters().space]

    def hyperparameters(self) -> Any:
        """Returns the space as `keras_tuner.HyperParameters` with the default configuration."""
        import keras_tuner

        hp = keras_tuner.HyperParameters()
        self.chosen(hp)
        return hp

    def to_json(self) -> dict[str, Any]:
        """Returns the settings that identify the space as a JSON-serializable dict."""
        optimizer = keras.optimizers.serialize(self.optimizer)
        optimizer["config"] |= {"learning_rate": "tuned", "name": None}  # Keras numbers instances
        return {
            "space": self.hyperparameters().get_config()["space"],
            "parameters": {name: fingerprint(given) for name, given in self.parameters.items()},
            "builders": {row.name: fingerprint(row.build) for row in self.rows},
            "declarations": schema_hash(self.features),
            "tasks": [to_config(task) for task in self.tasks],
            "optimizer": {name: optimizer[name] for name in ("class_name", "config")},
            "batch_size": self.batch_size,
            "latency_batch": self.latency_batch,
        }

    def _model(self, chosen: Configuration) -> RankingModel:
        features = [_scaled(f, chosen.common["embedding_scale"]) for f in self.features]
        build = registry.get(chosen.architecture).build
        return build(features, self.tasks, **chosen.arguments)

    def _arguments(self, hp: Any, row: Architecture) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for parameter in row.hyperparameters:
            name, scope = f"{row.name}/{parameter.name}", nullcontext()
            if parameter.when is not None:
                other, wanted = parameter.when
                parent, tuned = f"{row.name}/{other}", self._given(row.name, other)
                if tuned is None or callable(tuned):
                    scope = hp.conditional_scope(parent, [choice_label(wanted)])
                if found.get(other) != wanted and found.get(other) is not None:
                    with scope:
                        self._value(hp, name, parameter)
                    continue
            with scope:
                found[parameter.name] = self._value(hp, name, parameter)
        known = {parameter.name for parameter in row.hyperparameters}
        for argument in arguments_of(row) - known:
            given = self._given(row.name, argument)
            if given is not None:
                name = f"{row.name}/{argument}"
                found[argument] = given(hp, name) if callable(given) else given
        return found

    def _given(self, architecture: str, parameter: str) -> Any:
        own = self.parameters.get(f"{architecture}/{parameter}")
        return self.parameters.get(parameter) if own is None else own

    def _value(self, hp: Any, name: str, row: Hyperparameter) -> Any:
        architecture, _, parameter = name.rpartition("/")
        given = self._given(architecture, parameter) if architecture else self.parameters.get(name)
        if given is None:
            return hyperparameter_value(hp, name, row)
        return given(hp, name) if callable(given) else given

    def _check_parameters(self) -> None:
        common = {row.name for row in COMMON}
        known = {f"{row.name}/{argument}" for row in self.rows for argument in arguments_of(row)}
        short = {name.split("/")[1] for name in known}
        for name in self.parameters:
            if name not in known | short | common:
                near = get_close_matches(name, sorted(known | short | common), n=1, cutoff=0.4)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(
                    "The keys of `parameters` must be parameters of "
                    f"{[row.name for row in self.rows]}, such as {min(known)!r}. Received: {name!r}.{hint}"
                )


def arguments_of(row: Architecture) -> set[str]:
    """Returns the argument names of the function of an architecture."""
    kinds = inspect.signature(row.build).parameters.values()
    return {p.name for p in kinds if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _scaled(feature: Feature, scale: float) -> Feature:
    """Returns the declaration with its embedding width multiplied by `scale`, at least 1."""
    table = isinstance(feature, Categorical) or (
        isinstance(feature, Numeric) and feature.bucketized
    )
    if not table or scale == 1:
        return feature
    return replace(feature, embedding_dim=max(1, round(feature.width * scale)))
