"""What does training on bring, day by day? A model that goes on against one frozen after the first days.

Paper:    Malreddy et al., Improving feature interactions at Pinterest under industry constraints,
          2024, https://arxiv.org/abs/2412.01985: a model in production is trained again and again.
Command:  python recipes/recurring.py --out runs/recurring               the synthetic home feed, in parts
          python recipes/recurring.py --data DIR --out runs/recurring    KuaiRand-Pure in DIR, by day
Cost:     a pass over the log, and two over what is tested: minutes on 2 cores; `--smoke` under one.
Expected: a report; docs/results/recurring.md has both.

Declarations are fitted on the first period, as they would be. Each later period is tested, then trained on,
one pass. The same command with the same `--out` continues an interrupted run, with the same weights.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import logs
import pyarrow.parquet as pq
import training

import kranking as kr
from kranking.comparison import RecurringReport, recurring_training

FIRST_DAYS, FIRST_SHARE = (
    5,
    0.3,
)  # what there is to begin with: days of KuaiRand, a share of the home feed


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "recurring")
    log, periods = days_of_kuairand(args, out) if args.data else parts_of_homefeed(args, out)
    first = next(iter(periods.values()))
    features = kr.features.fit(log.features, first)
    report = recurring_training(
        maker(args, features, log),
        periods,
        log.session,
        protocol=replace(log.protocol, epochs=1),
        seeds=args.seeds,
        out=out,
        verbose=2,
    )
    print(report)
    result = figures(report)
    kr.comparison.write_files(out, {"result.json": result})
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "recurring")
    names = kr.architectures.names()
    parser.add_argument("--seeds", type=int, default=1, help="trainings")
    parser.add_argument("--architecture", default="pinterest_baseline", choices=names)
    parser.add_argument("--scale", type=float, default=0.25, help="times the published widths")
    parser.add_argument("--rows", type=int, default=400_000, help="rows of the synthetic log")
    parser.add_argument("--periods", type=int, default=8, help="periods of the synthetic log")
    args = parser.parse_args(arguments)
    if args.smoke:
        args.rows, args.scale, args.periods = 6_000, 0.05, 3
    return args


def maker(args: argparse.Namespace, features: list, log: logs.Log) -> Callable[[], kr.RankingModel]:
    """Returns what makes the model anew for each seed."""
    return lambda: training.build(args.architecture, features, log, args.scale)


def days_of_kuairand(args: argparse.Namespace, out: Path) -> tuple[logs.Log, dict[str, Path]]:
    """Splits all rows by date, the first days together; a smoke run has the first rows of each part."""
    log = logs.kuairand(Path(args.data), out / "log", 4_000 if args.smoke else None)
    files = [log.train, log.valid, log.test]
    dates = sorted({d for f in files for d in pq.read_table(f, columns=["date"])[0].to_pylist()})
    later = dates[-2:] if args.smoke else dates[FIRST_DAYS:]
    return log, split(files, "date", later, [str(date)[4:] for date in later], out)


def parts_of_homefeed(args: argparse.Namespace, out: Path) -> tuple[logs.Log, dict[str, Path]]:
    """Splits the synthetic log by time: a first share of it, then periods of one length."""
    log = logs.homefeed(out / "log", args.rows, args.seed)
    files = [log.train, log.valid, log.test]
    paths = [file for part in files for file in kr.features.find_files(part)]
    times = [pq.read_table(path, columns=["request_time"])[0].to_numpy() for path in paths]
    begin, end = min(t.min() for t in times), max(t.max() for t in times)
    step = (1 - FIRST_SHARE) / (args.periods - 1)
    shares = [FIRST_SHARE + step * number for number in range(args.periods - 1)]
    cutoffs = [float(begin + share * (end - begin)) for share in shares]
    names = [f"period{number}" for number in range(2, args.periods + 1)]
    return log, split(paths, "request_time", cutoffs, names, out)


def split(files: list, column: str, cutoffs: list, names: list[str], out: Path) -> dict[str, Path]:
    """Writes the periods, unless an earlier run has."""
    names = ["first", *names]
    folder = out / "periods"
    if not all((folder / name).exists() for name in names):
        kr.data.split_by_time(
            files, column, folder, shares=dict.fromkeys(names, 1.0), cutoffs=cutoffs
        )
    return {name: folder / name for name in names}


def figures(report: RecurringReport) -> dict[str, float]:
    """The flat object of result.json; undefined figures are omitted."""
    result: dict[str, float] = {}
    for period in report.periods:
        for kind in ("recurring", "frozen", "gain"):
            for name, found in getattr(period, kind).items():
                result[f"{period.name}.{name}.{kind}"] = found.estimate
    return {name: float(value) for name, value in result.items() if value == value}


if __name__ == "__main__":
    main()
