"""Can the launch candidate reach the baseline's latency? The question of the paper's section 5.4.

Paper:    Malreddy et al., Improving feature interactions at Pinterest under industry constraints,
          2024, https://arxiv.org/abs/2412.01985: parallel mask blocks and cross layers, and an MLP
          narrowed to the old latency; memory +5 points, save volume +1.42 %.
Command:  python recipes/launch.py --seeds 5 --out runs/launch                    the synthetic home feed
          python recipes/launch.py --data DIR --seeds 3 --out runs/launch         KuaiRand-Pure in DIR
Cost:     some minutes for the sizes, then a minute per training on 2 cores; `--smoke` under a minute.
Expected: a page: quality, memory at the batch that fills 60 % of a device, latency within +0 %.

Latency is measured on ONNX Runtime, 100 rows, one thread, in turns with the baseline. The MLP is
narrowed first, as in the paper; if the narrowest is still too slow, so are the mask blocks, and the page
reports it. The same command with the same `--out` continues an interrupted run.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import training
from compare import figures, prepared

import kranking as kr
from kranking.comparison import Comparison, compare
from kranking.data import LogFiles

BASELINE, DEVICE, FILLED = "pinterest_baseline", "A100-40GB", 0.60
BATCH, THREADS = 100, 1
BLOCK_DIM, UNITS = 512, (512, 256)  # of the launch candidate as the registry has it
NARROWEST, STEPS = 1 / 16, (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = training.run_folder(args, "launch")
    files, protocol = prepared(args, out)
    sizes = found_sizes(files, args, out / "sizes.json")
    published = {"block_dim": size(BLOCK_DIM, args.scale), "units": widths(args.scale)}
    variants = {
        BASELINE: (BASELINE, {"scale": args.scale}),
        "launch_published": ("pinterest_launch", published),
        "launch_narrowed": ("pinterest_launch", sizes["arguments"]),
    }
    report = compare(
        variants,
        files,
        BASELINE,
        protocol=protocol,
        seeds=args.seeds,
        out=out,
        budget=kr.budget.Budget(latency="+0 %"),
        latency_batch=BATCH,
        verbose=2,
    )
    memory = memory_points(variants, files)
    result = figures(report) | {f"{name}.memory_points": v for name, v in memory["points"].items()}
    text = page(report, sizes, memory)
    kr.comparison.write_files(out, {"page.md": text, "result.json": result})
    print(text)
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = training.parser(__doc__, "launch")
    parser.add_argument("--seeds", type=int, help="trainings of each variant; default 3")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the synthetic log")
    parser.add_argument("--scale", type=float, default=0.25, help="times the published widths")
    parser.add_argument("--rounds", type=int, default=300, help="timed calls of each size")
    args = parser.parse_args(arguments)
    args.seeds = args.seeds or (2 if args.smoke else 3)
    if args.smoke:
        args.rows, args.scale, args.rounds = 2_000, 0.05, 5
    return args


def size(width: float, scale: float) -> int:
    """Returns a width times `scale`, in steps of 8."""
    return max(8, round(width * scale / 8) * 8)


def widths(scale: float) -> list[int]:
    return [size(units, scale) for units in UNITS]


def found_sizes(files: LogFiles, args: argparse.Namespace, path: Path) -> dict[str, Any]:
    """Finds the widest launch candidate that is as fast as the baseline: its MLP first, then its blocks.

    Blocks get narrower only where the narrowest MLP is too slow. `path` keeps every size that was timed.
    """
    if path.exists():
        return json.loads(path.read_text())
    tried: list[dict[str, Any]] = []
    base = served(files, BASELINE, {"scale": args.scale})

    def ratio(block: float, mlp: float) -> float:
        arguments = {
            "block_dim": size(BLOCK_DIM, args.scale * block),
            "units": widths(args.scale * mlp),
        }
        candidate = served(files, "pinterest_launch", arguments)
        calls = {"candidate": candidate, "baseline": base}
        measured = kr.serving.latency_in_turns(calls, args.rounds, batch=BATCH, threads=THREADS)
        found = measured.ratio("candidate", "baseline")
        tried.append({"block": block, "mlp": mlp, "arguments": arguments, "ratio": found})
        print(f"{arguments}: {found:.3f} of the baseline's latency", flush=True)
        return found

    block = next((b for b in STEPS if ratio(b, NARROWEST) <= 1), None)
    if block is not None:
        next((m for m in STEPS if ratio(block, m) <= 1), None)
    within = [t for t in tried if t["ratio"] <= 1]
    widest = max(within, key=lambda t: t["mlp"], default=None)
    chosen = widest or min(tried, key=lambda t: t["ratio"])
    kr.comparison.write_files(path.parent, {path.name: chosen | {"tried": tried}})
    return json.loads(path.read_text())


def served(files: LogFiles, name: str, arguments: dict[str, Any]) -> Callable[[], Any]:
    """Exports an untrained model with perturbed weights, and returns a call of its ONNX file."""
    build = kr.architectures.get(name).build
    model = kr.models.perturbed(build(files.features, files.tasks, **arguments))
    with tempfile.TemporaryDirectory() as folder:
        kr.export.export_model(model, f"{folder}/bundle", formats=["onnx"], signatures=[])
        bundle = kr.export.load_bundle(f"{folder}/bundle", threads=THREADS)
    rows = bundle.random_inputs(BATCH)
    return lambda: bundle.session.run(None, rows)


def memory_points(variants: dict[str, Any], files: LogFiles) -> dict[str, Any]:
    """Returns the memory of each variant at the batch with which the baseline fills 60 % of a device."""
    models = {}
    for name, (architecture, arguments) in variants.items():
        with kr.models.without_weights():
            build = kr.architectures.get(architecture).build
            models[name] = build(files.features, files.tasks, **arguments)
    batch = kr.budget.largest_batch(models[BASELINE], FILLED, DEVICE).batch_size
    whole = kr.budget.device_memory(DEVICE)
    shares = {
        name: 100 * kr.budget.analytic_cost(model, batch)["memory"].value / whole
        for name, model in models.items()
    }
    points = {name: share - shares[BASELINE] for name, share in shares.items()}
    return {"batch": batch, "shares": shares, "points": points}


def page(report: Comparison, sizes: dict[str, Any], memory: dict[str, Any]) -> str:
    """Writes the decision on one page."""
    arguments = sizes["arguments"]
    blocks = "as published" if sizes["block"] == 1 else f"{sizes['block']:g} times as wide"
    which = (
        "the widest tried that was as fast"
        if sizes["ratio"] <= 1
        else "the fastest, none was as fast"
    )
    lines = [
        f"`launch_narrowed` has an MLP of {arguments['units']} ({sizes['mlp']:g} times as wide) and mask "
        f"blocks of {arguments['block_dim']} ({blocks}): {which} "
        f"({sizes['ratio']:.2f} of the baseline's when sizes were chosen; {len(sizes['tried'])} tried).",
        "",
        report.to_markdown(),
        f"At batch {memory['batch']:,}, which fills {FILLED:.0%} of {DEVICE} with the baseline:",
        "",
    ]
    rows = [
        [name, f"{share:.1f} %", f"{memory['points'][name]:+.1f}"]
        for name, share in memory["shares"].items()
    ]
    lines += kr.comparison.markdown_table(["variant", "memory, by formula", "points"], rows, left=1)
    means = [
        [name, *(f"{report[v].means.get(name, float('nan')):.4f}" for v in memory["shares"])]
        for name in report[BASELINE].means
    ]
    headings = ["test rows, mean of seeds", *memory["shares"]]
    lines += ["", *kr.comparison.markdown_table(headings, means, left=1)]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
