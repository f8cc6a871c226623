"""Change the code of the statistics in one place at a time and check that a test fails: make mutants [MINUTES=20]

mutmut makes the changes (a sign, a comparison, a constant, a missing argument) and runs for each the fast tests that
reach the function, the fastest first. [tool.mutmut] in pyproject.toml lists code and tests. A change that no test
detects survives: its file, line and text are printed, then the counts of each file. The state is kept in mutants/: the
next call tries the survivors again, then continues where this one stopped.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

PROJECT = Path(__file__).parents[1]
MUTMUT = [sys.executable, "-m", "mutmut"]
KILLED = ("killed", "timeout", "segfault", "suspicious")
ENOUGH = 20  # seconds for mutmut to finish what it has started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("names", nargs="*", help="of mutants or, with *, of many: 'wen.ensemble*'; default: all")
    options = parser.parse_args()
    ends = time.monotonic() + 60 * options.minutes
    survivors = [] if options.names else [name for name, status in results().items() if status == "survived"]
    if survivors:
        run(survivors, ends)
    run(options.names, ends)
    found = results()
    for name, status in found.items():
        if status == "survived":
            print(f"{change(name)}  ({name})")
    print(table(found))


def run(names: list[str], ends: float) -> None:
    """Run mutmut, one mutant at a time, until it is finished or the time is up."""
    left = ends - time.monotonic()
    if left <= 0:
        return
    command = [*MUTMUT, "run", "--max-children", "1", *names]
    process = subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    try:
        if process.wait(left) != 0:
            sys.exit("mutants: mutmut failed; `python -m mutmut run` shows why")
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(ENOUGH)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def results() -> dict[str, str]:
    """Return the outcome of each mutant."""
    listed = _mutmut("results", "--all", "true") if (PROJECT / "mutants").is_dir() else ""
    return dict(line.strip().split(": ") for line in listed.splitlines() if ": " in line)


def change(name: str) -> str:
    """Return the file, the line and the text of a mutant, before and after."""
    lines = _mutmut("show", name).splitlines()
    path = next(line.split()[1] for line in lines if line.startswith("--- "))
    first = next(k for k, line in enumerate(lines) if line.startswith("@@"))
    number = _line(path, name) + int(re.findall(r"\d+", lines[first])[0]) - 1
    number += next(k for k, line in enumerate(lines[first + 1 :]) if line.startswith("-"))
    return f"{path}:{number}: " + " | ".join(line for line in lines[first + 1 :] if line[:1] in "-+")


def _line(path: str, name: str) -> int:
    """Return the line on which the function of a mutant starts."""
    function = re.split("x_|ǁ", name.rpartition("__mutmut_")[0])[-1]
    lines = (PROJECT / path).read_text().splitlines()
    return next(k for k, line in enumerate(lines, start=1) if re.match(rf"\s*def {re.escape(function)}\(", line))


def table(found: dict[str, str]) -> str:
    """Return the counts of each module, in Markdown."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, status in found.items():
        fate = "killed" if status in KILLED else status
        for module in (name.rpartition(".")[0], "all"):
            counts[module][fate] += 1
    rows = [
        (module, sum(of.values()), of["killed"], of["survived"], of["no tests"], of["not checked"])
        for module, of in sorted(counts.items(), key=lambda item: (item[0] == "all", item[0]))
    ]
    head = ["| module | changes | noticed | survived | no tests | not tried |", "|---|---|---|---|---|---|"]
    return "\n".join(head + [f"| `{module}` | " + " | ".join(f"{n:,}" for n in of) + " |" for module, *of in rows])


def _mutmut(*arguments: str) -> str:
    return subprocess.run([*MUTMUT, *arguments], cwd=PROJECT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
