"""Is another architecture worth its cost? Variants against a baseline, under the five limits.

Paper:    Malreddy et al., Improving feature interactions at Pinterest under industry constraints,
          2024, https://arxiv.org/abs/2412.01985, tables 1 to 3.
Command:  python recipes/compare.py --seeds 5 --out runs/compare              the synthetic home feed
          python recipes/compare.py --data DIR --seeds 3 --out runs/compare   KuaiRand-Pure in DIR
Cost:     half a minute to several minutes per training on 2 cores; `--smoke` under a minute.
Expected: a report; cost columns grow with depth and width.

The baseline is Pinterest's, a stack of four cross layers. The variants are deeper and parallel stacks, as
in its Table 1, and architectures of section 5.3. The same command with the same `--out` continues an
interrupted run.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import logs
import training

import kranking as kr
from kranking.comparison import Comparison, compare

BASELINE = "stacked_4"


def variants(scale: float) -> dict[str, Any]:
    """Returns the variants by name; widths of MLPs and mask blocks are the published ones times `scale`."""
    units = [round(1024 * scale), round(512 * scale)]
    found: dict[str, Any] = {BASELINE: ("pinterest_baseline", {"scale": scale})}
    for depth in (5, 6, 8):
        found[f"stacked_{depth}"] = ("pinterest_baseline", {"scale": scale, "depth": depth})
    for depth in (2, 3):
        sizes = {"num_stacks": 4, "depth": depth, "units": units}
        found[f"parallel_4x{depth}"] = ("parallel_dcn_v2", sizes)
    found |= {
        "masknet": ("masknet", {"model_type": "parallel", "units": units}),
        "gdcn": ("gdcn", {"units": units}),
        "final_mlp": ("final_mlp", {"units1": units, "units2": units}),
        "sdcn_v3": "sdcn_v3",
        "deep_light": ("deep_light", {"units": units}),
        "pinterest_launch": ("pinterest_launch", {"scale": scale}),
    }
    return found


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "compare")
    files, protocol = prepared(args, out)
    chosen = {name: v for name, v in variants(args.scale).items() if name in args.variants}
    report = compare(
        {BASELINE: variants(args.scale)[BASELINE], **chosen},
        files,
        BASELINE,
        protocol=protocol,
        seeds=args.seeds,
        out=out,
        budget=kr.budget.Budget(memory="+5 points of A100-40GB", latency="+0 %"),
        verbose=2,
    )
    print(report)
    result = figures(report)
    kr.comparison.write_files(out, {"result.json": result})
    return result


def prepared(args: argparse.Namespace, out: Path) -> tuple[logs.Log, kr.training.Protocol]:
    """Returns the log that was asked for, its declarations fitted, and how every model is trained on it."""
    if args.data:
        log = logs.kuairand(Path(args.data), out / "log", 8_000 if args.smoke else None)
    else:
        log = logs.homefeed(out / "log", args.rows, args.seed)
    features = kr.features.fit(log.features, log.train)
    epochs = 1 if args.smoke else log.protocol.epochs
    return replace(log, features=features), replace(log.protocol, epochs=epochs)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "compare")
    names = list(variants(1.0))
    parser.add_argument("--seeds", type=int, help="trainings of each variant; default 3")
    parser.add_argument("--variants", nargs="+", default=names, choices=names)
    parser.add_argument("--rows", type=int, help="rows of the synthetic log")
    parser.add_argument("--scale", type=float, default=0.25, help="times the published widths")
    args = parser.parse_args(arguments)
    args.seeds = args.seeds or (2 if args.smoke else 3)
    args.rows = args.rows or (5_000 if args.smoke else logs.HOMEFEED_ROWS)
    if args.smoke:
        args.variants, args.scale = [BASELINE, "stacked_5"], 0.05
    return args


def figures(report: Comparison) -> dict[str, float]:
    """The flat object of result.json; unknown figures are omitted."""
    result: dict[str, float] = {}
    for row in report.rows:
        found = {"metric": row.metric, "spread": row.spread.estimate, "stable": float(row.stable)}
        if row.cost is not None:
            found["memory_bytes"] = row.cost["memory"].value
            for name in ("latency_ratio", "hyperparameters"):
                if name in row.cost:
                    found[name] = row.cost[name].value
        result |= {f"{row.name}.{name}": float(v) for name, v in found.items() if v == v}
    return result


if __name__ == "__main__":
    main()
