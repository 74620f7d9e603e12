"""The models that a search chooses from."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import keras

from kranking import architectures as registry
from kranking._core import check_positive_int
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
    """A configuration, as what a model is made of.

    Args:
        architecture: Its name.
        arguments: What its function is called with.
        common: The settings that every architecture has.
        tuned: Number of settings that the space leaves open, the architecture itself not counted.
    """

    architecture: str
    arguments: Mapping[str, Any]
    common: Mapping[str, Any]
    tuned: int


class SearchSpace:
    """Architectures and what there is to tune in each, as KerasTuner's conditional parameters.

    Ranges and defaults are those of the registry. A parameter is called `architecture/name`, such as
    `masknet/num_blocks`; beside them stand `architecture`, `learning_rate` and `embedding_scale`, which
    multiplies the widths of embedding tables. A space is a function from `hp` to a compiled model: give it
    to any KerasTuner tuner as its hypermodel.

    Args:
        architectures: Names from the registry, the first being the one a search starts from.
        features: Fitted declarations.
        tasks: The actions to predict.
        parameters: What shall be otherwise: by name a constant, or a function `(hp, name)` that makes one
            of KerasTuner's calls, which gives `None` where the architecture is another one. A name without
            an architecture, such as `dropout`, is for all that have it; arguments of an architecture's
            function that are not in its registry row are welcome.
        optimizer: Keras optimizer or its name; its learning rate is tuned.
        batch_size: Rows of a training step, on which memory depends.
        latency_batch: Rows of a request: predicts the latency of serving, for a limit on it.

    Raises: `ValueError` for an unknown architecture or parameter, with the nearest name.

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
                f"`architectures` must be a list of names. Received: {architectures!r}"
            )
        self.rows = [registry.get(name) for name in architectures]
        self.features = list(features)
        self.tasks = list(tasks)
        self.parameters = dict(parameters or {})
        self.optimizer = keras.optimizers.get(optimizer)
        self.batch_size, self.latency_batch = batch_size, latency_batch
        self._check_parameters()

    def __call__(self, hp: Any) -> RankingModel:
        """Gives the compiled model of a `keras_tuner.HyperParameters`, asking it for every value."""
        return self.compiled(self.chosen(hp))

    def compiled(self, chosen: Configuration) -> RankingModel:
        """Gives the model of a configuration, with its optimizer."""
        model = self._model(chosen)
        config = keras.optimizers.serialize(self.optimizer)
        config["config"]["learning_rate"] = float(chosen.common["learning_rate"])
        # KerasTuner's objective is an exact metric of the validation rows: none is needed in the graph.
        model.compile(keras.optimizers.deserialize(config), weighted_metrics=None)
        return model

    def cost(self, hp: Any) -> Cost:
        """Gives what a configuration costs, by formula, without making its weights.

        Args:
            hp: `keras_tuner.HyperParameters`, or what `chosen` gave.
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
        """Gives a configuration outside the space, such as a baseline: common settings at their default."""
        row, given = registry.get(architecture), self.parameters
        common = {c.name: given.get(c.name, c.default) for c in COMMON}
        common = {c.name: c.default if callable(common[c.name]) else common[c.name] for c in COMMON}
        open_ones = [c for c in COMMON if c.name not in given or callable(given[c.name])]
        return Configuration(
            architecture, arguments, common, len(row.hyperparameters) + len(open_ones)
        )

    def chosen(self, hp: Any) -> Configuration:
        """Asks `hp` for every value, and gives those that count."""
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
        """Gives the names of all parameters that are left open."""
        return [parameter.name for parameter in self.hyperparameters().space]

    def hyperparameters(self) -> Any:
        """Gives the space as `keras_tuner.HyperParameters`, with the default configuration."""
        import keras_tuner

        hp = keras_tuner.HyperParameters()
        self.chosen(hp)
        return hp

    def to_json(self) -> dict[str, Any]:
        """Gives what makes this space another one."""
        constants = {k: v for k, v in self.parameters.items() if not callable(v)}
        return {
            "space": self.hyperparameters().get_config()["space"],
            "constants": constants,
            "declarations": schema_hash(self.features),
            "tasks": [to_config(task) for task in self.tasks],
            "optimizer": type(self.optimizer).__name__,
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
                    f"`parameters` must name settings of {[row.name for row in self.rows]}, such as "
                    f"{min(known)!r}. Received: {name!r}.{hint}"
                )


def arguments_of(row: Architecture) -> set[str]:
    """Gives the names of what an architecture's function can be called with."""
    kinds = inspect.signature(row.build).parameters.values()
    return {p.name for p in kinds if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _scaled(feature: Feature, scale: float) -> Feature:
    """Gives a declaration whose table is `scale` times as wide, at least 1."""
    table = isinstance(feature, Categorical) or (
        isinstance(feature, Numeric) and feature.bucketized
    )
    if not table or scale == 1:
        return feature
    return replace(feature, embedding_dim=max(1, round(feature.width * scale)))
