"""Is the cost from formulas the cost that the compiler and the clock find?

Paper:    Malreddy et al., Improving feature interactions at Pinterest under industry constraints,
          2024, https://arxiv.org/abs/2412.01985: memory and latency are two of its five limits.
Command:  KERAS_BACKEND=jax python recipes/benchmarks/cost_model.py --stage compile
          KERAS_BACKEND=tensorflow python recipes/benchmarks/cost_model.py --stage latency --visits 5
          python recipes/benchmarks/cost_model.py            judge what is there; `--fit` fits anew
Cost:     10 seconds of one core per model and stage, 124 and 155 models; `--smoke` two small ones.
Expected: `memory_median_error` at most 0.10, `memory_worst_error` at most 0.25, `flops_mismatches` 0,
          `latency_rank_correlation` at least 0.95.

Models are drawn from the registry's own ranges, on the declarations of the synthetic home feed, one of
every architecture and seed. The factors of both formulas are fitted on the models of seeds 0, 1 and 100
(`--fit memory` and `--fit latency` write them). Memory is judged on those of seed 101, latency on seeds 102
and 103, all drawn when the rest was settled. For the milliseconds of another machine: `--stage latency`
with `--results` of your own, then `--fit latency`.

Latency is that of the ONNX file on ONNX Runtime with one thread, in turns with a reference model. A later
visit is minutes after the first; a model's figure is the median over visits of its ratio to the reference,
times the reference's lowest latency. A finished model is a row of `--results`, which a rerun skips.
"""

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from cost_factors import latency_factors, memory_shares
from served_models import BATCHES, in_turns, latencies, quiet_reference, reference, served

import kranking as kr

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "docs" / "results" / "cost_model.json"
SHARES = ROOT / "kranking" / "budget" / "peak_shares.json"
FACTORS = ROOT / "kranking" / "budget" / "latency_factors.json"
FIT_SEEDS, TEST_SEEDS = (0, 1, 100), (101,)
LATENCY_TEST_SEEDS = (102, 103)
BATCH, LATENCY_BATCH = 1024, 100
LATENCY_FIT_BATCHES = (1, 100)
LARGEST = {"memory": 1.5 * 2**30, "flops": 60e6}  # what a draw may cost: some seconds to compile
NEAR, ENOUGH = 10.0, 20  # rank correlations are among so many models or more within that factor

Rows = list[dict[str, Any]]


def main(arguments: list[str] | None = None) -> dict[str, float]:
    args = parse(arguments)
    out = Path(args.out or f"runs/cost_model-{time.strftime('%Y%m%d-%H%M%S')}")
    out.mkdir(parents=True, exist_ok=True)
    if args.smoke:
        args.results, args.served = out / "rows.json", out / "served"
    declared = declarations(out / "log")
    pairs = [(name, seed) for seed in args.seeds for name in args.architectures]
    if args.stage == "compile":
        for pair in pairs:
            add(args.results, pair, compiled, declared)
    if args.stage == "latency":
        for visit in range(args.visits):
            for pair in pairs:
                add_visit(args.results, pair, visit, declared, args.served)
    rows = read(args.results)
    if args.fit == "memory":
        kr.comparison.write_files(
            SHARES.parent, {SHARES.name: {"shares": fitted_memory(rows, declared)}}
        )
    if args.fit == "latency":
        kr.comparison.write_files(FACTORS.parent, {FACTORS.name: fitted_latency(rows, declared)})
    result = {**judged_memory(rows, declared), **judged_latency(rows, declared)}
    kr.comparison.write_files(out, {"result.json": result})
    print(json.dumps(result, indent=1))
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stage", choices=("compile", "latency", "report"), default="report")
    parser.add_argument("--fit", choices=("memory", "latency"), help="write the package's factors")
    parser.add_argument("--seeds", type=int, nargs="+", help="those of the stage")
    parser.add_argument("--architectures", nargs="+", default=kr.architectures.names())
    parser.add_argument("--visits", type=int, default=1, help="how often each model is timed")
    parser.add_argument("--served", type=Path, default=Path("runs/served"), help="exported models")
    parser.add_argument("--results", type=Path, default=ROWS)
    parser.add_argument("--smoke", action="store_true", help="two small models")
    parser.add_argument("--out")
    args = parser.parse_args(arguments)
    if args.smoke and args.fit:
        parser.error("--fit: the package's factors want every model, not two small ones")
    if args.seeds is None:
        judged = LATENCY_TEST_SEEDS if args.stage == "latency" else TEST_SEEDS
        args.seeds = [*judged, *FIT_SEEDS]
    if args.smoke:
        args.seeds, args.architectures = [args.seeds[0], FIT_SEEDS[0]], ["mlp"]
    return args


def declarations(folder: Path) -> tuple[list[Any], list[kr.Task]]:
    """Returns the declarations of the synthetic home feed, fitted on a small log."""
    kr.data.write_homefeed(folder, num_rows=20_000, seed=0)
    features, tasks = kr.data.homefeed_declarations()
    return kr.features.fit(features, folder / "train"), tasks


def rebuilt(row: dict[str, Any], declared: tuple) -> Any:
    """Builds the model of a row again, without weights."""
    with kr.models.without_weights():
        return kr.architectures.get(row["name"]).build(*declared, **row["arguments"])


def draw(name: str, seed: int, features: list, tasks: list) -> tuple[dict[str, Any], Any]:
    """Draws settings in their ranges until a model comes out that is not too large to compile here."""
    row = kr.architectures.get(name)
    random = np.random.default_rng([seed, *name.encode()])
    for _ in range(100):
        arguments: dict[str, Any] = {}
        for p in row.hyperparameters:
            if p.when is None or arguments.get(p.when[0]) == p.when[1]:
                arguments[p.name] = value_of(p, random)
        try:
            with kr.models.without_weights():
                model = row.build(features, tasks, **arguments)
            cost = kr.budget.analytic_cost(model, BATCH)
        except ValueError:
            continue  # settings that do not go together
        if all(cost[limit].value <= most for limit, most in LARGEST.items()):
            return arguments, model
    raise RuntimeError(f"No small model of {name} was drawn with seed {seed}")


def value_of(parameter: Any, random: np.random.Generator) -> Any:
    """Draws one setting."""
    if parameter.choices is not None:
        return parameter.choices[random.integers(len(parameter.choices))]
    low, high = parameter.low, parameter.high
    value = np.exp(random.uniform(np.log(low), np.log(high))) if parameter.log else None
    value = random.uniform(low, high) if value is None else value
    return round(value) if isinstance(parameter.default, int) else float(value)


def row_of(rows: Rows, pair: tuple[str, int], declared: tuple) -> tuple[dict[str, Any], Any]:
    """Returns the row of a model, and the model: drawn, if the row is new."""
    name, seed = pair
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    for row in rows:
        if (row["name"], row["seed"]) == pair:
            return row, rebuilt(row, declared)
    arguments, model = draw(name, seed, *declared)
    row = {"name": name, "seed": seed, "arguments": arguments}
    rows.append(row)
    return row, model


def add(path: Path, pair: tuple[str, int], stage: Any, declared: tuple) -> None:
    """Adds what a stage finds to the row of a model, unless it is there."""
    rows = read(path)
    if any((r["name"], r["seed"]) == pair and stage.__name__ in r for r in rows):
        return
    row, model = row_of(rows, pair, declared)
    started = time.perf_counter()
    row[stage.__name__] = stage(model)
    print(f"{pair[0]}, seed {pair[1]}: {time.perf_counter() - started:.1f} s", flush=True)
    write_rows(path, rows)


def add_visit(path: Path, pair: tuple, visit: int, declared: tuple, folder: Path) -> None:
    """Times a model once more, unless it has had as many visits; exports it at the first."""
    rows = read(path)
    row, model = row_of(rows, pair, declared)
    visits = row.setdefault("served", {})
    wanted = [batch for batch in BATCHES if len(visits.get(str(batch), [])) <= visit]
    if not wanted:
        return
    started = time.perf_counter()
    bundle, other = served(model, folder / "-".join(map(str, pair))), reference(folder)
    for batch in wanted:
        visits.setdefault(str(batch), []).append(in_turns(bundle, other, batch))
    seconds = time.perf_counter() - started
    print(f"{pair[0]}, seed {pair[1]}, visit {visit + 1}: {seconds:.1f} s", flush=True)
    write_rows(path, rows)


def write_rows(path: Path, rows: Rows) -> None:
    """Writes a row a line, sorted."""
    rows = sorted(rows, key=lambda r: (r["seed"], r["name"]))
    text = "[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n"
    kr.comparison.write_files(path.parent, {path.name: text})


def compiled(model: Any) -> dict[str, Any]:
    """Returns XLA's memory of a training step and the products in the traced program."""
    model.build()
    step = kr.budget.compiled_step(model, BATCH)
    rows = {
        name: np.ones((1, *spec.shape), spec.dtype)
        for name, spec in model.preprocessor.inputs.items()
    }
    flops = kr.testing.traced_matmul_flops(model, rows)
    return {"memory": step["memory"], "temporary": step["temporary"], "program_flops": flops}


def fitted_memory(rows: Rows, declared: tuple) -> dict[str, float]:
    """Fits the factors of the memory formula."""
    rows = [r for r in rows if r["seed"] in FIT_SEEDS and "compiled" in r]
    works = [rebuilt(row, declared).work() for row in rows]
    return memory_shares([row["compiled"] for row in rows], works, BATCH)


def fitted_latency(rows: Rows, declared: tuple) -> dict[str, Any]:
    """Fits the factors of the latency formula, of requests of one row and of many."""
    quiet = {batch: quiet_reference(rows, batch) for batch in LATENCY_FIT_BATCHES}
    rows = [r for r in rows if r["seed"] in FIT_SEEDS and "served" in r]
    works = [rebuilt(row, declared).work() for row in rows]
    found = [(batch, latencies(rows, batch, quiet[batch])) for batch in LATENCY_FIT_BATCHES]
    return {"machine": machine(), **latency_factors(works, found)}


def machine() -> str:
    """Names the processor, as Linux does."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def judged_memory(rows: Rows, declared: tuple) -> dict[str, float]:
    """Judges memory and FLOPs on the models that none of their constants has seen."""
    rows = [r for r in rows if r["seed"] in TEST_SEEDS and "compiled" in r]
    if not rows:
        return {"models": 0.0}
    costs = [kr.budget.analytic_cost(rebuilt(row, declared), BATCH) for row in rows]
    found = [row["compiled"] for row in rows]
    pairs = list(zip(costs, found, strict=True))
    errors = np.array([abs(cost["memory"].value / f["memory"] - 1) for cost, f in pairs])
    for row, error in sorted(zip(rows, errors, strict=True), key=lambda pair: -pair[1])[:8]:
        print(f"{row['name']:20} seed {row['seed']}: memory off by {error:.1%}")
    return {
        "models": float(len(rows)),
        "memory_median_error": float(np.median(errors)),
        "memory_worst_error": float(errors.max()),
        "flops_mismatches": float(sum(c["flops"].value != f["program_flops"] for c, f in pairs)),
    }


def judged_latency(rows: Rows, declared: tuple) -> dict[str, float]:
    """Judges predicted latencies on models that the fit has not seen.

    Architectures without settings are the same model under every seed: those are left out.
    """
    quiet = {batch: quiet_reference(rows, batch) for batch in BATCHES if rows}
    seen = [settings(row) for row in rows if row["seed"] in FIT_SEEDS]
    rows = [r for r in rows if r["seed"] in LATENCY_TEST_SEEDS and "served" in r]
    rows = [row for row in rows if settings(row) not in seen]
    models = [rebuilt(row, declared) for row in rows]
    result = {"latency_models": float(len(rows))}
    for batch in BATCHES if rows else ():
        measured = latencies(rows, batch, quiet[batch])
        costs = [kr.budget.analytic_cost(model, latency_batch=batch) for model in models]
        predicted = np.array([cost["latency_p50"].value for cost in costs])
        errors = predicted / measured - 1
        found = correlations(measured, predicted)
        end = "" if batch == LATENCY_BATCH else f"_batch{batch}"
        result |= {f"latency_rank_correlation{end}": min(found) if found else float("nan")}
        result |= {f"latency_rank_correlation_all{end}": spearman(measured, predicted)}
        result |= {f"latency_median_error{end}": float(np.median(np.abs(errors)))}
        for i in np.argsort(-np.abs(errors))[: 8 if not end else 0]:
            print(
                f"{rows[i]['name']:20} seed {rows[i]['seed']}: latency {measured[i]:.3g} ms, "
                f"predicted {predicted[i]:.3g} ms"
            )
    return result


def settings(row: dict[str, Any]) -> str:
    """Returns which model a row is of."""
    return json.dumps([row["name"], row["arguments"]], sort_keys=True)


def correlations(measured: np.ndarray, predicted: np.ndarray) -> list[float]:
    """Returns the rank correlation in every window of models that are near each other."""
    inside = [(measured >= low) & (measured <= NEAR * low) for low in measured]
    return [spearman(measured[w], predicted[w]) for w in inside if w.sum() >= ENOUGH]


def spearman(some: np.ndarray, others: np.ndarray) -> float:
    """Returns Spearman's rank correlation, of figures without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (some, others)]
    return float(np.corrcoef(*ranks)[0, 1]) if len(some) > 1 else float("nan")


def read(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of finished models."""
    return json.loads(path.read_text()) if path.exists() else []


if __name__ == "__main__":
    main()
