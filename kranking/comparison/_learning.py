"""Learning experiments: which architectures suit a log."""

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
    """Determines the order, width and nonlinearity of feature interactions that improve models on a log.

    `"order"` stacks one to eight cross steps, `"parallel"` uses one to four parallel stacks of two,
    `"nonlinearity"` trains low-rank kernels with and without a ReLU between the factors, and `"dhen"`
    compares DHEN to a mixture of MLPs by FLOPs. All experiments form one comparison: shared models are
    trained once, and the same call resumes an interrupted one, also with more experiments or seeds.

    Args:
        log: Rows, declarations and tasks.
        names: Names of the experiments.
        units: Layer widths of the MLP after each interaction.
        ranks: Ranks of the nonlinearity experiment.
        by: Measure for the findings: `"ne"`, the normalized entropy of the main task, which is more
            sensitive to small differences, or `"hit"`, the main metric.
        protocol: Training settings shared by all models.
        seeds: Number of trainings per model.
        out: Folder of the trainings and the report.
        latency_batch: Number of rows per request when measuring serving latency. `None` skips the
            measurement.
        verbose: Verbosity of `fit`.

    Returns:
        A `LearningReport`: tables as in Table 1 of the paper with intervals, findings by fixed rules, and
        suggested architectures.

    Raises:
        ValueError: If a name is not an experiment, or the folder belongs to another comparison.

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
