"""Ten thousand calls of the public API by seed: is each right, or refused in one sentence?

Command:  python recipes/benchmarks/fuzz_inputs.py
Cost:     under twenty minutes on 2 cores; `--smoke` about a minute.
Expected: no other outcome, and none that hangs.

A call is drawn by the seed and its number: declarations, values of many types, containers, files and
folders, labels and weights, requests, damaged bundles and states, optimizer steps. The oracle
(`fuzzing/oracle.py`) is a slow reading in plain Python, written from the documentation. Outcomes:

- right, or refused by a ValueError (or a documented type) that kranking raises and that names the thing;
- a silent difference: an answer that is not right, or one where a refusal is right;
- refused though valid, or without a name of what is wrong;
- a traceback from below: an error of Arrow, NumPy, Keras, ONNX Runtime or the file system;
- a hang or crash: no end within `--limit` seconds, or the end of the process.

Rows are kept in `calls.jsonl` of the run folder; the same command goes on where it stopped. `--call N`
runs one call and prints its traceback. For runs on an older commit, set PYTHONPATH to its checkout: names
that moved since are looked up in `fuzzing/older.py`.
"""

import argparse
import json
import multiprocessing
import os
import time
import traceback
from collections import Counter, defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="few calls: does it run?")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/fuzz-inputs", help="run folder; kept rows go on")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a call")
    parser.add_argument("--kinds", default="", help="only kinds that begin so, by comma")
    parser.add_argument("--call", type=int, help="runs this call alone and prints how it ends")
    args = parser.parse_args(arguments)
    if args.smoke:
        args.calls = min(args.calls, 40)
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    if args.call is not None:
        replay(args, out)
        return {}
    rows = run(args, out)
    report, result = tables(rows), figures(rows)
    print(report)
    (out / "report.md").write_text(report)
    (out / "result.json").write_text(json.dumps(result, indent=1))
    wrong = result["wrong"]
    if wrong:
        raise SystemExit(f"{wrong:.0f} of {result['calls']:.0f} calls ended wrongly")
    return result


def replay(args, out: Path) -> None:
    from fuzzing import judge
    from fuzzing.kinds import draw_call

    call = draw_call(args.seed, args.call, out, args.kinds)
    print(f"{call.kind}: {call.fault}\n{call.what}\nrefusal: {call.refusal}")
    print(*judge.judge(call, args.limit), sep=": ")
    try:
        print(call.run())
    except Exception:
        traceback.print_exc()


def run(args, out: Path) -> list[dict]:
    """Runs the calls that are not in the file of rows yet, in processes of their own."""
    import rich.progress
    from fuzzing.kinds import prepare

    file = out / "calls.jsonl"
    done = whole_rows(file)
    rows = [row for row in done if row["seed"] == args.seed]
    numbers = set(range(args.first, args.first + args.calls))
    rows = [row for row in rows if row["number"] in numbers]
    left = sorted(numbers - {row["number"] for row in rows})
    if left:
        prepare(args.seed, out)
    workers = [Worker(args, out, left[i :: args.workers]) for i in range(args.workers) if left[i:]]
    columns = rich.progress.Progress.get_default_columns()
    with file.open("a") as kept, rich.progress.Progress(*columns, transient=True) as progress:
        task = progress.add_task("calls", total=len(left))
        while workers:
            for worker in list(workers):
                for row in worker.rows():
                    kept.write(json.dumps(row) + "\n")
                    rows.append(row)
                    progress.advance(task)
                if worker.ended:
                    workers.remove(worker)
            kept.flush()
            time.sleep(0.05)
    return sorted(rows, key=lambda row: row["number"])


def whole_rows(file: Path) -> list[dict]:
    """Returns the rows of a file, and cuts what a killed run left of a last one."""
    if not file.exists():
        return []
    lines = file.read_text().split("\n")
    if lines.pop():
        file.write_text("".join(f"{line}\n" for line in lines))
    return [json.loads(line) for line in lines]


class Worker:
    """A process that runs calls in order, and is replaced when one kills it or never ends."""

    def __init__(self, args, out: Path, numbers: list[int]):
        self.args, self.out, self.numbers, self.ended = args, out, numbers, False
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        given = (theirs, self.args.seed, self.numbers, self.out, self.args.limit, self.args.kinds)
        self.process = context.Process(target=work, args=given)
        self.process.start()
        theirs.close()
        self.heard = time.monotonic() + 120  # of imports

    def rows(self) -> list[dict]:
        """Returns the rows that are new."""
        found = []
        try:
            while self.pipe.poll():
                found.append(self.pipe.recv())
                self.heard = time.monotonic()
        except EOFError:
            pass
        done = {row["number"] for row in found}
        self.numbers = [number for number in self.numbers if number not in done]
        late = time.monotonic() - self.heard > self.args.limit + 30
        if not self.numbers or late or not self.process.is_alive():
            found += self._over(late)
        return found

    def _over(self, late: bool) -> list[dict]:
        if self.numbers and not late and self.pipe.poll():
            return []
        self.process.kill()
        self.process.join()
        if not self.numbers:
            self.ended = True
            return []
        number, *self.numbers = self.numbers
        how = "hang" if late else "crash"
        row = {"seed": self.args.seed, "number": number, "kind": "-", "fault": "-", "what": "-"}
        if self.numbers:
            self._start()
        else:
            self.ended = True
        return [{**row, "outcome": how, "text": f"exit code {self.process.exitcode}"}]


def work(pipe, seed: int, numbers: list[int], out: Path, limit: float, kinds: str) -> None:
    """Runs calls in a process of its own, and sends a row for each."""
    import warnings

    warnings.simplefilter("ignore")
    from fuzzing import judge
    from fuzzing.kinds import draw_call, own_folder

    for number in numbers:
        row = {"seed": seed, "number": number}
        began = time.monotonic()
        try:
            with own_folder():
                call = draw_call(seed, number, out, kinds)
                outcome, text = judge.judge(call, limit)
            row |= {"kind": call.kind, "fault": call.fault, "what": call.what[:400]}
        except Exception:  # of the fuzzer itself
            outcome, text = "fuzzer's own error", traceback.format_exc()[-600:]
            row |= {"kind": "-", "fault": "-", "what": "-"}
        seconds = round(time.monotonic() - began, 3)
        pipe.send({**row, "outcome": outcome, "text": text[:400], "seconds": seconds})


def figures(rows: list[dict]) -> dict[str, float]:
    counts = Counter(row["outcome"] for row in rows)
    good = sum(counts[how] for how in ("right", "refused", "skipped"))
    faults = {row["fault"] for row in rows if is_wrong(row)}
    return {
        "calls": float(len(rows)),
        **{how.replace(" ", "_"): float(n) for how, n in sorted(counts.items())},
        "wrong": float(len(rows) - good),
        "faults": float(len(faults)),
    }


def is_wrong(row: dict) -> bool:
    return row["outcome"] not in ("right", "refused", "skipped")


def tables(rows: list[dict]) -> str:
    """Returns the outcomes by kind of call, and the faults with their first calls."""
    outcomes = [how for how, _ in Counter(row["outcome"] for row in rows).most_common()]
    by_kind: dict[str, Counter] = defaultdict(Counter)
    by_fault: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]][row["outcome"]] += 1
        if is_wrong(row):
            by_fault[row["fault"]].append(row)
    lines = ["| kind of call | " + " | ".join(outcomes) + " |", "|---|" + "---:|" * len(outcomes)]
    for kind, counts in sorted(by_kind.items()):
        lines.append(f"| {kind} | " + " | ".join(str(counts[how]) for how in outcomes) + " |")
    lines += ["", "| fault | calls | outcomes | first |", "|---|---:|---|---|"]
    for fault, found in sorted(by_fault.items()):
        ways = Counter(row["outcome"] for row in found)
        said = ", ".join(f"{n} {how}" for how, n in ways.most_common())
        first = found[0]
        text = " ".join(first["text"].split())[:140].replace("|", "\\|")
        lines.append(f"| {fault} | {len(found)} | {said} | {first['number']}: {text} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
