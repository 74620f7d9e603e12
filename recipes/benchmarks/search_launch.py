"""Does a search under Pinterest's limits find a model as good as the one that Pinterest launched?

Paper:    Malreddy et al., Improving feature interactions at Pinterest under industry constraints,
          2024, https://arxiv.org/abs/2412.01985: latency as before, memory up to 5 points more.
Command:  python recipes/benchmarks/search_launch.py --rows-file docs/results/search_launch.json
Cost:     a minute per trial on two cores, 36 trials; `--smoke` a minute.
Expected: the search's choice is no worse than the best `pinterest_launch` that keeps to the limits.

Two searches on the synthetic home feed, in the same space of widths and rates, under the same limits: one
over several families, one over `pinterest_launch` alone, so that the launch candidate is tuned as well. The
limits are the baseline's latency, measured on exported files in turns, and its memory plus 8.3 %: 5 points
where the baseline fills 60 % of a device. What each search chooses, and the baseline, is then trained with
new seeds and judged on the test rows. Finished parts are kept in the file; the same command continues.
"""

import argparse
import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from search_study import judged, maker, prepared

import kranking as kr
from kranking.comparison import paired_over_seeds
from kranking.data import LogFiles
from kranking.search import SearchSpace, Training, search

BASELINE, LAUNCH, SCALE, BATCH = "pinterest_baseline", "pinterest_launch", 0.25, 512
FAMILIES = [LAUNCH, "masknet", "dcn_v2", "gdcn", "parallel_dcn_v2", "mlp"]
LIMITS = {"latency": "+0 %", "memory": "+8.3 %"}


def main() -> None:
    args = parse()
    kept = json.loads(args.rows_file.read_text()) if args.rows_file.exists() else {}
    if any(row.get("rows") != args.rows for row in kept.values()):
        raise SystemExit(f"{args.rows_file} holds searches on other rows: give another file.")
    with tempfile.TemporaryDirectory() as folder:
        log = prepared(Path(folder), args.rows)
        spaces = {"searched": space_of(FAMILIES, log), LAUNCH: space_of([LAUNCH], log)}
        for (name, space), trials in zip(spaces.items(), args.trials, strict=True):
            if name not in kept:
                found = chosen(space, log, trials, Path(folder) / name)
                kept[name] = found | {"rows": args.rows}
                keep(kept, args.rows_file)
        fixed = spaces["searched"].fixed(BASELINE, {"scale": SCALE})
        base = functools.partial(spaces["searched"].compiled, fixed)
        kept.setdefault(BASELINE, {"architecture": BASELINE, "rows": args.rows})
        for name, row in kept.items():
            tests = row.setdefault("test", [])
            for seed in range(100 + len(tests), 100 + args.seeds):
                make = maker(spaces[name], row["values"]) if name in spaces else base
                tests += judged(make, log, [seed])
                keep(kept, args.rows_file)
    print(table(kept))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="few rows and trials: does it run?")
    parser.add_argument("--rows-file", type=Path, default=Path("runs/search_launch.json"))
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the synthetic log")
    parser.add_argument("--trials", type=int, nargs=2, default=[24, 12], metavar=("ALL", "LAUNCH"))
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each choice")
    args = parser.parse_args()
    if args.smoke:
        args.rows, args.trials, args.seeds = 1_000, [1, 1], 2
    return args


def space_of(families: list[str], log: LogFiles) -> SearchSpace:
    """Returns a space whose widths are a quarter of the published ones and less, down to a sixteenth."""
    widths = {
        str(units): [units, units // 2] for units in (round(1024 * SCALE / n) for n in (1, 2, 4))
    }
    return SearchSpace(
        families,
        log.features,
        log.tasks,
        parameters={
            "units": lambda hp, name: widths.get(hp.Choice(name, list(widths))),
            "block_dim": lambda hp, name: hp.Int(name, 16, 128, sampling="log"),
            "learning_rate": lambda hp, name: hp.Float(name, 3e-4, 1e-2, sampling="log"),
            "embedding_scale": 1.0,
        },
        batch_size=BATCH,
        latency_batch=100,
    )


def chosen(space: SearchSpace, log: LogFiles, trials: int, out: Path) -> dict[str, Any]:
    """Searches, and returns what was chosen, at which cost, and how often a draw was refused."""
    result = search(
        space,
        log,
        kr.budget.Budget(**LIMITS),
        baseline=(BASELINE, {"scale": SCALE}),
        confirm="measured",
        trials=trials,
        training=Training(verbose=0),
        seed=1,
        out=out,
    )
    best = result.best()
    assert best.cost is not None
    return {
        "architecture": best.values["architecture"],
        "values": dict(best.values),
        "valid": best.metric,
        "costs": {name: best.cost[name].value for name in ("memory", "latency_p50")},
        "trials": len(result.trained),
        "feasible_share": result.feasible_share,
        "rejected": len(result.rejected),
        "oracle_time_share": result.oracle_time_share,
    }


def keep(kept: dict[str, Any], path: Path) -> None:
    kr.comparison.write_files(path.parent, {path.name: kept})


def table(kept: dict[str, Any]) -> str:
    """Returns the choices in Markdown, each against the launch candidate seed by seed."""
    headings = ["model", "architecture", "trials", "refused", "test AUC of saves"]
    headings.append("over the launch's")
    rows, reference = [], np.array(kept[LAUNCH]["test"])
    for name, row in kept.items():
        test = np.array(row["test"])
        cells = [
            name,
            row["architecture"],
            str(row.get("trials", "–")),
            str(row.get("rejected", "–")),
        ]
        cells.append(f"{test.mean():.4f} ± {test.std(ddof=1):.4f}")
        gain = paired_over_seeds(test, reference)
        cells.append(
            "–" if name == LAUNCH else f"{gain.estimate:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        )
        rows.append(cells)
    return "\n".join(kr.comparison.markdown_table(headings, rows, left=2))


if __name__ == "__main__":
    main()
