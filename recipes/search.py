"""The best model within a budget: no training is spent on one that could not be served.

Paper:    Malreddy et al., Improving feature interactions at Pinterest under industry constraints,
          2024, https://arxiv.org/abs/2412.01985, section 3: the limits; O'Malley et al., KerasTuner, 2019.
Command:  python recipes/search.py --trials 30 --out runs/search              the synthetic home feed
          python recipes/search.py --data DIR --trials 30 --out runs/search   KuaiRand-Pure in DIR
          python recipes/search.py --workers 2 --out runs/search              a chief and two workers
Cost:     half a minute to some minutes per trial on 2 cores; `--smoke` under a minute.
Expected: `feasible_share` 1; a report with the front over quality and cost; the winner trained and saved.

Limits are written as a `Budget` takes them, relative ones against Pinterest's baseline. The same command
with the same `--out` goes on where a killed run stopped. `--workers` starts processes on this machine; on
several, start this script on each with KerasTuner's variables (docs/hyperparameter-search.md).
"""

import argparse
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import training
from compare import prepared

import kranking as kr
from kranking.search import SearchResult, SearchSpace, Training, search

BASELINE = "pinterest_baseline"
FAMILIES = ["pinterest_launch", "masknet", "dcn_v2", "gdcn", "parallel_dcn_v2", "mlp"]


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "search")
    files, protocol = prepared(args, out)
    if args.workers and "KERASTUNER_ORACLE_IP" not in os.environ:
        return team(args.workers, sys.argv[1:] if arguments is None else arguments, out)
    units = {
        f"{size}": [round(size * args.scale), round(size * args.scale / 2)] for size in (512, 1024)
    }
    space = SearchSpace(
        args.families,
        files.features,
        files.tasks,
        parameters={
            "scale": args.scale,
            "units": lambda hp, name: units.get(hp.Choice(name, list(units))),
            "learning_rate": lambda hp, name: hp.Float(name, 3e-4, 1e-2, sampling="log"),
            "embedding_scale": 1.0,
        },
        batch_size=protocol.batch_size,
        latency_batch=100,
    )
    limits = {"memory": args.memory, "latency": args.latency, "parameters": args.parameters}
    result = search(
        space,
        files,
        kr.budget.Budget(**limits),
        baseline=(BASELINE, {"scale": args.scale}),
        method=args.method,
        trials=args.trials,
        training=Training(protocol.epochs, args.executions, protocol.hit, verbose=2),
        seed=args.seed,
        out=out,
    )
    if result is None:
        return {}
    print(result.to_markdown())
    if args.retrain:
        result.retrain(export=True)
    found = figures(result)
    kr.comparison.write_files(out, {"result.json": found})
    return found


def team(workers: int, arguments: list[str], out: Path) -> dict[str, float]:
    """Runs this script as a chief and its workers, and returns what the chief has found."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    command = [sys.executable, __file__, *arguments, "--out", str(out)]

    def start(name: str, printed: Any = None) -> subprocess.Popen:
        role = {**os.environ, **address, "KERASTUNER_TUNER_ID": name}
        return subprocess.Popen(command, env=role, stdout=printed, stderr=printed)

    processes = [start("chief")]
    try:
        for name in (f"worker{i}" for i in range(workers)):
            with (out / f"{name}.txt").open("a") as printed:
                processes.append(start(name, printed))
        chief, *others = processes
        while chief.poll() is None and not all(worker.poll() for worker in others):
            try:
                chief.wait(1)
            except subprocess.TimeoutExpired:
                continue
        if chief.poll() != 0:
            raise SystemExit(
                "The chief and a worker should go on until the end. Received: exit codes "
                f"{[process.poll() for process in processes]}; see {out}/worker*.txt. The same command "
                "goes on from here"
            )
    finally:
        for process in processes:
            process.terminate()
            process.wait()
    return json.loads((out / "result.json").read_text())


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "search")
    parser.add_argument("--families", nargs="+", default=FAMILIES, help="architectures to search")
    parser.add_argument("--method", default="bayesian", help="random, bayesian or hyperband")
    parser.add_argument("--trials", type=int, default=30, help="configurations to train")
    parser.add_argument("--executions", type=int, default=1, help="trainings of each configuration")
    parser.add_argument("--workers", type=int, default=0, help="processes that train at once")
    parser.add_argument("--memory", default="+5 %", help="such as '12 GiB'")
    parser.add_argument("--latency", help="such as '8 ms p99' or '+0 %%'")
    parser.add_argument("--parameters", help="such as '+0 %%'")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the synthetic log")
    parser.add_argument("--scale", type=float, default=0.25, help="times the published widths")
    parser.add_argument("--retrain", action="store_true", help="train, save and export the winner")
    args = parser.parse_args(arguments)
    if args.smoke:
        args.rows, args.scale, args.trials, args.method = 5_000, 0.05, 4, "random"
        args.families = ["pinterest_launch", "mlp"]
    return args


def figures(result: SearchResult) -> dict[str, float]:
    """The flat object of result.json."""
    return {
        "trials": float(len(result.trained)),
        "feasible_share": result.feasible_share,
        "best_metric": result.best().metric,
        "baseline_metric": result.baseline["metric"] if result.baseline else float("nan"),
        "oracle_time_share": result.oracle_time_share,
        "rejected": float(len(result.rejected)),
    }


if __name__ == "__main__":
    main()
