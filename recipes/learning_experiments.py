"""What does a log reward: order, several views at once, non-linearity? Pinterest's learning experiments.

Paper:    Malreddy et al., Improving feature interactions at Pinterest under industry constraints,
          2024, section 5.2 and table 1, https://arxiv.org/abs/2412.01985; `dhen` is table 3 of
          Zhang et al., DHEN, 2022, https://arxiv.org/abs/2203.11014.
Command:  python recipes/learning_experiments.py --seeds 5 --out runs/learning   the synthetic home feed
          … --data DIR --seeds 3                                                  KuaiRand-Pure in DIR
Cost:     a minute or two per training of a million rows on 2 cores, 18 models a seed; `--smoke` a minute.
Expected: tables, plots, findings by fixed rules and architectures to try in `learning.html`.

The truth of the synthetic log has terms of second, third and fourth order, as products and as gates:
`kranking.data.HomefeedTruth`. The same command with the same `--out` continues an interrupted run,
also with more experiments or more seeds.
"""

import argparse
import dataclasses

import training
from compare import prepared

from kranking.comparison import LearningReport, learning_experiments, write_files

EXPERIMENTS = ("order", "parallel", "nonlinearity", "dhen")


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "learning")
    files, protocol = prepared(args, out)
    if args.batch_size:
        protocol = dataclasses.replace(protocol, batch_size=args.batch_size)
    report = learning_experiments(
        files,
        args.experiments,
        units=[max(8, round(width * args.scale)) for width in (1024, 512)],
        ranks=args.ranks,
        by=args.by,
        protocol=protocol,
        seeds=args.seeds,
        out=out,
        latency_batch=None if args.smoke else 100,
        verbose=2,
    )
    print(report)
    result = figures(report)
    write_files(out, {"result.json": result})
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "learning")
    chosen = EXPERIMENTS[:3]
    parser.add_argument("--experiments", nargs="+", default=chosen, choices=EXPERIMENTS)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each model")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the synthetic log")
    parser.add_argument("--scale", type=float, default=0.25, help="times an MLP of 1024 and 512")
    parser.add_argument("--ranks", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument("--by", default="ne", choices=("ne", "hit"), help="what findings go by")
    parser.add_argument("--batch-size", type=int, help="instead of the log's own")
    args = parser.parse_args(arguments)
    if args.smoke:
        args.experiments, args.seeds, args.rows, args.scale = ["parallel"], 1, 5_000, 0.02
    return args


def figures(report: LearningReport) -> dict[str, float]:
    """The flat object of result.json: gains in per cent; unknown figures are omitted."""
    gains = {
        f"{point.name}.gain": report.gains(point.name, point.reference).estimate
        for one in report.experiments
        for point in one.points
        if point.reference is not None
    }
    return {name: float(gain) for name, gain in gains.items() if gain == gain}


if __name__ == "__main__":
    main()
