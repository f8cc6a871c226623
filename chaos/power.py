"""Simulate a power cut: kill all processes, then empty, truncate or zero recently written files, at random.

This is harder than a real power cut: outputs that had been flushed to the disk are hit as well, and so are DVC's own
files.
"""

import json
import os
import random
import shutil
import time
from pathlib import Path

from study import OUTPUTS, Study, Trial, check, clone, copy, differences, files_of, killed, reproduce

PLACES = (*OUTPUTS, ".checkpoints", ".dvc/cache", "dvc.lock")


def trials(study: Study, empty: Study, folder: Path, count: int, seconds: float, rng: random.Random) -> list[Trial]:
    """Cut the power of clones of an empty study until they end; they must end like the uninterrupted study."""
    done: list[Trial] = []
    while len(done) < count:
        one, before = clone(empty, folder / f"cut {len(done)} {rng.random()}"), len(done)
        while len(done) < count:
            begin = time.time()
            stage = reproduce(one, rng.uniform(2, seconds / 4))
            if not stage:
                break
            hit = lose([one.root / name for name in PLACES], begin, rng)
            after_restart(one)
            done.append((f"power, `dvc repro` in {stage}", []))
            print(f"{len(done)}: power cut in {stage}, {hit} files hit", flush=True)
        reproduce(one)
        if len(done) > before:
            done[-1][1].extend(differences(study.root, one.root))
    return done


def idle(study: Study, folder: Path, count: int, rng: random.Random) -> list[Trial]:
    """Cut the power after a study is finished and pushed: files of the workspace, cache and remote are hit."""
    done: list[Trial] = []
    for number in range(count):
        place = folder / f"idle {number}"
        one = copy(study, place / "study")
        one.run("git", "reset", "--quiet", "--soft", "HEAD~1")  # the commit that the page names
        one.run("dvc", "remote", "add", "--local", "--default", "store", str(place / "store"))
        killed(one, "dvc", "push", after=rng.uniform(2, 8))
        killed(one, "dvc", "push")
        hit = lose([*(one.root / name for name in PLACES if name != "dvc.lock"), place / "store"], 0, rng)
        after_restart(one)
        named = len(check(one))
        reproduce(one)
        lost = differences(study.root, one.root)
        one.run("wen", "verify", "--remote")
        other = clone(study, place / "clone")
        other.run("dvc", "remote", "add", "--local", "--default", "store", str(place / "store"))
        other.run("dvc", "pull")
        done.append(("power, after `dvc push`", lost + differences(study.root, other.root)))
        print(f"{number + 1}: {hit} files hit, {named} named", flush=True)
        shutil.rmtree(place)
    return done


def lose(places: list[Path], since: float, rng: random.Random) -> int:
    """Damage up to 20 of the recently written files, some with unchanged times; return how many."""
    files = {path.stat().st_ino: path for place in places if place.exists() for path in files_of(place)}
    recent = sorted(path for path in files.values() if path.stat().st_ctime >= since and path.stat().st_size)
    chosen = rng.sample(recent, min(len(recent), rng.randint(1, 20)))
    for path in chosen:
        before, content = path.stat(), path.read_bytes()
        kept = content[: rng.choice([0, 0, rng.randrange(len(content)) // 4096 * 4096])]
        path.chmod(0o644)
        path.write_bytes(rng.choice([kept, kept.ljust(len(content), b"\0")]))
        path.chmod(before.st_mode)
        if rng.random() < 0.5:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return len(chosen)


def after_restart(study: Study) -> None:
    """Make the check see what it would see after a restart of the machine."""
    table = study.root / ".dvc/cache/wen-verified.json"
    try:
        content = json.loads(table.read_bytes())
    except (OSError, ValueError):
        return
    table.write_text(json.dumps(content | {"boot": "an earlier one"}))
