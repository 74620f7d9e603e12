"""Experiments that say which families of architectures a log rewards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kranking._core import check_choice
from kranking.comparison._compare import compare
from kranking.comparison._experiments import BASELINE, EXPERIMENTS, experiments, stack
from kranking.comparison._gains import Gains
from kranking.comparison._learning_report import LearningReport
from kranking.comparison._trial import SESSION_METRICS
from kranking.data import LogFiles
from kranking.training import Protocol


def learning_experiments(
    log: LogFiles,
    names: Sequence[str] = EXPERIMENTS[:3],
    *,
    units: Sequence[int] = (512, 256),
    ranks: Sequence[int] = (32, 128, 512),
    by: str = "ne",
    protocol: Protocol | None = None,
    seeds: int = 5,
    out: str | Path = "learning",
    latency_batch: int | None = 100,
    verbose: Any = "auto",
) -> LearningReport:
    """Asks a log for the order, the width and the non-linearity of the interactions that it rewards.

    `"order"` stacks one to eight cross steps, `"parallel"` puts one to four stacks of two side by side,
    `"nonlinearity"` trains low ranks with and without a ReLU between their factors, `"dhen"` puts layers
    of DHEN against experts of a mixture of MLPs, by FLOPs. All of them are one comparison: models that two
    experiments share are trained once, and the same call goes on where a killed one stopped, also with
    more experiments or seeds.

    Args:
        log: Rows, declarations and tasks.
        names: Which experiments.
        units: Widths of the MLP behind every interaction.
        ranks: Ranks of the non-linearity experiment.
        by: What findings go by: `"ne"`, the main task's normalised entropy, which sees small differences
            sooner, or `"hit"`, the main metric.
        protocol: How all are trained.
        seeds: Trainings of each model.
        out: Folder of the trainings and the report.
        latency_batch: Rows per request of the served models; `None` measures no latency.
        verbose: As Keras's `fit`.

    Returns:
        Tables as the paper's Table 1 with intervals, findings by fixed rules, architectures to try.

    Raises: `ValueError` for a name that is no experiment, or a folder of another comparison.

    Reference: [Malreddy et al., 2024, section 5.2](https://arxiv.org/abs/2412.01985);
    [Zhang et al., 2022, table 3](https://arxiv.org/abs/2203.11014)

    >>> log = LogFiles("a", "b", "c", [], [kr.Task("save")], "session")
    >>> learning_experiments(log, by="auc")
    Traceback (most recent call last):
      ...
    ValueError: `by` must be one of ['hit', 'ne']. Received: by='auc'
    """
    check_choice("by", by, SESSION_METRICS)
    asked = experiments(names, units, ranks)
    variants: dict[str, Any] = {BASELINE: stack(4, units)}
    variants |= {point.name: point.given for one in asked for point in one.points}
    comparison = compare(
        variants,
        log,
        BASELINE,
        protocol=protocol,
        seeds=seeds,
        out=out,
        latency_batch=latency_batch,
        verbose=verbose,
    )
    report = LearningReport(asked, Gains(comparison, Path(out), by))
    report.write(Path(out))
    return report
