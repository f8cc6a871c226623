"""Kill the tiny study at random moments and compare what it ends with: make chaos [SEED=1]

Runs `dvc repro` once without a break. Then, in another clone, starts it again and again and kills it (SIGKILL) after a
random while until it ends, with all its children or, every other time, alone; in as many clones as it takes to kill as
often as asked. All must hold the same bytes. Prints a table and writes it into docs/RELIABILITY.md.

DVC does not write dvc.lock whole or not at all. Where it is killed meanwhile it refuses the file, which is then deleted
as the page says: the run-cache knows what is done.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT / "tests/pipeline")]

import page  # noqa: E402
from tiny_study import Study, new_study  # noqa: E402

TORN = "(half a dvc.lock was left, and deleted)"
OUTPUTS = ("data", "models", "metrics", "plots", "report")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20, help="begin no other clone after that")
    options = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        study = new_study(Path(name), "study")
        study.run("dvc", "repro")
        alone = time.monotonic() - begin
        print(f"uninterrupted: {alone:.0f} s", flush=True)
        rng, during, differing, rounds = random.Random(options.seed), Counter(), [], 0
        while kills(during) < options.kills and time.monotonic() - begin < 60 * options.minutes:
            rounds += 1
            killed = Study(Path(name) / f"killed {rounds}", Path(name) / "home")
            study.run("git", "clone", "--quiet", str(study.root), str(killed.root))
            # A sixth of the whole is long enough for any one stage to end.
            while (count := kills(during)) < options.kills and (
                stage := kill(killed, rng.uniform(1, alone / 6), alone=count % 2 == 1)
            ):
                during[stage] += 1
                print(stage if stage == TORN else f"kill {count + 1} during {stage}", flush=True)
            while (stage := kill(killed, None, alone=False)) == TORN:
                during[stage] += 1
            differing += differences(study.root, killed.root)
    table = [
        "| stage | killed in |", "|---|---|", *(f"| {stage} | {count} |" for stage, count in sorted(during.items())),
        f"| all, in {rounds} studies | tried {kills(during)}, survived "
        f"{kills(during) if not differing else 0}, files that differ {len(differing)} |",
    ]  # fmt: skip
    print("\n".join([*table, *differing]))
    page.write("kills", f"`make chaos SEED={options.seed}`, {(time.monotonic() - begin) / 60:.1f} minutes", table)
    sys.exit(bool(differing) or kills(during) < options.kills)


def kills(during: Counter[str]) -> int:
    return during.total() - during[TORN]


def kill(study: Study, after: float | None, alone: bool) -> str | None:
    """Start `dvc repro`, kill it after some seconds, alone or with its children, and say which stage it was in.

    None if it ended before; `TORN` if an earlier kill left half a dvc.lock, which is deleted.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["dvc", "repro"], cwd=study.root, env=study.env, stdout=output, stderr=output, start_new_session=True
        )
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            if alone:
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = output.read().decode()
    if process.returncode == 0:
        return None
    if "'./dvc.lock' " in text[:200] and process.returncode != -signal.SIGKILL:
        (study.root / "dvc.lock").unlink()
        return TORN
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError(f"dvc repro failed by itself:\n{text[-3000:]}")
    stages = re.findall(r"Running stage '([a-z-]+)", text)
    return stages[-1] if stages else "before any"


def differences(one: Path, other: Path) -> list[str]:
    """Files of the outputs that are not the same bytes in both studies."""
    files = {
        path.relative_to(root) for root in (one, other) for name in OUTPUTS for path in files_of(root / name)
    }  # fmt: skip
    return [str(path) for path in sorted(files) if content(one / path) != content(other / path)]


def files_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else [own for own in path.rglob("*") if own.is_file()]


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    main()
