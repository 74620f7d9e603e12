"""Plants small faults in the package and counts how many the tests see. Run by hand, not in CI.

    python tests/mutants.py --rows rows.jsonl --cache coverage.json
    python tests/mutants.py --tree ../old --rows old.jsonl --cache old_coverage.json
    python tests/mutants.py --like old.jsonl --rows new.jsonl --cache coverage.json
    python tests/mutants.py --compare old.jsonl new.jsonl

`--like` plants the faults of another tree's rows where this tree holds the same statement, and draws the
rest anew; `--compare` then counts what both saw. Rows are appended as they come: run again after a break.

A survivor is shown to the tests that run its block, then to all tests of those files and of its room's
folder, each time up to a budget of seconds. One that no test could see, because the program means the same
with it, is listed in `mutation/equivalent.toml` with the reason.

Why not a mutation tool: mutmut and cosmic-ray name a fault by its module's path and a number, so that two
trees whose files moved share none. cosmic-ray starts a process per fault, which imports TensorFlow for ten
seconds, and runs all tests; mutmut mutates a copy of the tree and leaves out defaults and what runs on
import.
"""

import argparse
import hashlib
import json
import os
import tomllib
from collections import Counter, defaultdict
from itertools import zip_longest
from pathlib import Path

from mutation.forks import Job, Server, share_out
from mutation.selection import Coverage, append_line, batches, module_name
from mutation.sites import is_fault, sites

ROOMS = ("layers", "metrics", "losses", "features", "models", "export", "serving")
LIMIT = 120  # seconds that a fault may cost on top of four times what its tests take without it
EQUIVALENT = Path(__file__).parent / "mutation" / "equivalent.toml"


def arguments():
    """Returns what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tree", default=Path(__file__).parents[1], type=Path)
    parser.add_argument("--rows", type=Path, help="JSON lines, one per fault; appended to")
    parser.add_argument("--cache", type=Path, help="file of what each test runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--backend", choices=("tensorflow", "jax", "torch"), default="tensorflow")
    parser.add_argument("--like", type=Path, help="rows of another tree whose faults come first")
    parser.add_argument(
        "--again", choices=("survived", "seen", "hang", "crash"), help="run these anew"
    )
    parser.add_argument("--compare", nargs=2, type=Path, metavar="ROWS", help="two rows files")
    options = parser.parse_args()
    if not (options.compare or (options.rows and options.cache)):
        parser.error(
            "--rows and --cache are needed to plant faults, --compare ROWS ROWS to compare"
        )
    return options


def read_sites(tree):
    """Returns the faults of a tree, and the text of each module."""
    texts = {}
    for room in ROOMS:
        for path in sorted((tree / "kranking" / room).rglob("*.py")):
            texts[str(path.relative_to(tree))] = (room, path.read_text("utf-8"))
    found = sites((room, module, text) for module, (room, text) in texts.items())
    return found, {module: text for module, (_, text) in texts.items()}


def draw(found, texts, count, seed, first=()):
    """Draws faults: shares by the root of a room's size, kinds in turn, one per statement.

    The order is a digest of seed and identity, so that two trees draw mostly the same.
    """
    drawn = list(matches(found, first).values())
    taken = {(site.qualname, site.statement) for site in drawn}
    sizes = Counter(site.room for site in found)
    share = count / sum(size**0.5 for size in sizes.values())
    for room, size in sizes.items():
        kinds = defaultdict(list)
        for site in sorted((s for s in found if s.room == room), key=lambda s: _order(s, seed)):
            kinds[site.kind].append(site)
        turns = [
            site
            for turn in zip_longest(*(kinds[k] for k in sorted(kinds)))
            for site in turn
            if site
        ]
        left = round(share * size**0.5) - sum(site.room == room for site in drawn)
        for site in turns:
            place = (site.qualname, site.statement)
            if left > 0 and place not in taken and is_fault(site, texts[site.module]):
                drawn.append(site)
                taken.add(place)
                left -= 1
    return drawn


def matches(found, ids):
    """Returns, for each identity in a tree, the same fault in this one: as a rule the one of that identity.

    A function that was renamed or joined another class is known by its statement, if only one is like it.
    """
    by_id = {site.id: site for site in found}
    by_statement = defaultdict(list)
    for site in found:
        by_statement[_without_name(site.id)].append(site)
    same = {i: by_id[i] for i in ids if i in by_id}
    taken = {site.id for site in same.values()}
    for i in ids:
        alike = by_statement[_without_name(i)]
        if i not in same and len(alike) == 1 and alike[0].id not in taken:
            same[i] = alike[0]
            taken.add(alike[0].id)
    return same


def _without_name(identity):
    return identity.split(":", 1)[1]


def _order(site, seed):
    return hashlib.sha256(f"{seed}:{site.id}".encode()).hexdigest()


def run_trial(site, text, coverage, server):
    """Shows a fault to the tests, batch after batch, until one sees it; returns its row."""
    row = {"id": site.id, "room": site.room, "kind": site.kind, "module": site.module}
    row |= {
        "line": site.line,
        "diff": site.diff(text),
        "state": "survived",
        "tests": 0,
        "seconds": 0.0,
    }
    planted = {module_name(site.module): server.text(site.module, site.planted(text))}
    for job in jobs(site, planted, coverage):
        result = server.run(job)
        row["tests"] += len(result.get("tests", ()))
        row["seconds"] = round(row["seconds"] + result["seconds"], 1)
        status = result["status"]
        if status not in (0, 5):  # 5: no tests, where the names of cases come from mutated code
            row["state"] = status if isinstance(status, str) else "seen"
            row["by"], row["error"] = (result["errors"] or [("", f"pytest ends with {status}")])[0]
            break
    return row


def jobs(site, planted, coverage):
    """Yields a fault's runs: the tests that run its block, then the others of the same files."""
    chosen = coverage.tests(site)
    for batch in [*batches(chosen), *batches(coverage.more_tests(site, chosen))]:
        known = {file: sorted(coverage.files[file]["tests"]) for file in batch}
        names = {file: sorted(tests) for file, tests in batch.items()}
        seconds = LIMIT + 4 * coverage.expected(batch)
        yield Job(str(coverage.tree), names, planted, known, seconds=seconds)


def control(row, coverage, server):
    """Runs the test that saw a fault without the fault; returns whether it passes, as it should."""
    file = row["by"].split("::")[0]
    if row["by"] == file:
        return (
            True  # the file cannot be imported with the fault; without it, its tests were counted
        )
    result = server.run(Job(str(coverage.tree), {file: [row["by"]]}, seconds=LIMIT * 5))
    return result["status"] == 0


def read_rows(path):
    """Returns the last row of each fault."""
    lines = path.read_text("utf-8").splitlines() if path and path.exists() else []
    return {row["id"]: row for row in map(json.loads, lines)}


def print_table(rows):
    """Prints seen and planted faults per room and kind."""
    seen, planted = Counter(), Counter()
    for row in rows:
        for key in ((r, k) for r in (row["room"], "all") for k in (row["kind"], "all")):
            planted[key] += 1
            seen[key] += row["state"] != "survived"
    kinds = [*sorted({row["kind"] for row in rows}), "all"]
    print("| room |", " | ".join(kinds), "|\n|---|", "---|" * len(kinds), sep="")
    for room in [*sorted({row["room"] for row in rows}), "all"]:
        cells = (f"{seen[room, k]}/{planted[room, k]}" if planted[room, k] else "" for k in kinds)
        print(f"| {room} |", " | ".join(cells), "|")


def report(rows):
    """Prints the table, and each survivor as a diff, with the reason where there is one."""
    reasons = tomllib.loads(EQUIVALENT.read_text("utf-8")) if EQUIVALENT.exists() else {}
    print_table(rows)
    for row in rows:
        if row["state"] == "survived":
            print(f"\n{row['id']} ({row['tests']} tests)\n{row['diff']}")
            print(f"-> {reasons.get(row['id'], 'no reason: a test is missing')}")
    states = Counter(row["state"] for row in rows)
    print(f"\n{dict(states)}, {sum(row['seconds'] for row in rows) / 60:.0f} minutes")


def compare(before, after):
    """Prints what two trees saw of the faults that both hold, and each of its own."""
    after = {row.get("like", i): row for i, row in after.items()}
    both = before.keys() & after.keys()
    for name, rows in (("before", before), ("after", after)):
        for part, ids in (("common", both), ("own", rows.keys() - both)):
            seen = sum(rows[i]["state"] != "survived" for i in ids)
            print(f"{name}, {part}: {seen} of {len(ids)} seen")
    for i in sorted(both):
        if before[i]["state"] != "survived" and after[i]["state"] == "survived":
            print(f"\nseen before by {before[i]['by']}, not after: {i}\n{after[i]['diff']}")


def main():
    """Draws, plants, and reports."""
    options = arguments()
    if options.compare:
        compare(*map(read_rows, options.compare))
        return
    os.environ["KERAS_BACKEND"] = options.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tree = options.tree.resolve()
    found, texts = read_sites(tree)
    first = read_rows(options.like)
    names = {site.id: old for old, site in matches(found, first).items()}
    drawn = draw(found, texts, options.count, options.seed, first)
    done = {i: row for i, row in read_rows(options.rows).items() if row["state"] != options.again}
    server = Server()
    try:
        coverage = Coverage(tree, options.cache)
        coverage.collect(server, options.processes)

        def work(site):
            row = run_trial(site, texts[site.module], coverage, server)
            if row.get("by") and not control(row, coverage, server):
                row |= {
                    "state": "survived",
                    "error": f"{row.pop('by')} fails without the fault, too",
                }
            if site.id in names:
                row["like"] = names[site.id]
            append_line(options.rows, row)
            print(row["state"], row["id"], row["seconds"], row.get("by", ""), flush=True)

        share_out([site for site in drawn if site.id not in done], options.processes, work)
    finally:
        server.close()
    rows = read_rows(options.rows)
    report([rows[site.id] for site in drawn])


if __name__ == "__main__":
    main()
