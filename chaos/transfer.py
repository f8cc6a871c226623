"""Kill `dvc push`, `dvc pull`, `dvc exp run` and `wen run` at random moments (SIGKILL)."""

import random
import shutil
import signal
import time
from pathlib import Path

from study import Study, Trial, clone, copy, delete_git_locks, differences, killed, reproduce


def pushes_and_pulls(study: Study, folder: Path, count: int, rng: random.Random) -> list[Trial]:
    """Push to a new remote and pull into a clone, killing both; the clone must get the same outputs."""
    done: list[Trial] = []
    windows = {"push": 6.0, "pull": 6.0}
    while len(done) < count:
        place = folder / f"pushed {len(done)} {rng.random()}"
        origin = copy(study, place / "origin")
        origin.run("dvc", "remote", "add", "--default", "store", str(place / "store"))
        origin.commit("A remote")
        killed_now = ["push"] if _stop(origin, windows, "push", rng=rng) else []
        origin.run("dvc", "push")
        origin.run("wen", "verify", "--remote")
        other = clone(origin, place / "clone")
        killed_now += ["pull"] if _stop(other, windows, "pull", rng=rng) else []
        if killed(other, "dvc", "pull")[0]:  # it says that files are missing, as its list of them is of the killed one
            other.run("wen", "verify", "--remote")
            other.run("dvc", "pull")
        lost = differences(study.root, other.root)
        done += [(f"`dvc {what}`", lost) for what in killed_now]
        shutil.rmtree(place)
    return done


def experiments(study: Study, folder: Path, count: int, rng: random.Random) -> list[Trial]:
    """Kill every second experiment in the workspace and in a temporary folder; the study must be unchanged."""
    done: list[Trial] = []
    one = copy(study, folder / "experiments")
    windows = {"exp": 30.0}
    while len(done) < count:
        option = [[], ["--temp"]][len(done) % 2]
        command = ["exp", "run", *option, "--set-param", f"report.bootstrap={rng.randint(100, 10**4)}"]
        if _stop(one, windows, *command, rng=rng):
            delete_git_locks(one)
            code, text = killed(one, "dvc", *command)
            if code and "dvc.lock" in text[:200]:  # half written; docs/RELIABILITY.md says what to do
                one.run("git", "checkout", "dvc.lock")
                code, text = killed(one, "dvc", *command)
            lost = [f"refused afterwards: {text[-500:]}"] if code else []
            one.restore()
            done.append((" ".join(["`dvc exp run", *option]) + "`", lost + differences(study.root, one.root)))
            print(f"{len(done)}: {done[-1]}", flush=True)
        else:
            one.restore()
    return done


def side_by_side(
    study: Study, empty: Study, folder: Path, count: int, seconds: float, rng: random.Random
) -> list[Trial]:
    """Kill `wen run`, and continue with it or with `dvc repro`."""
    done: list[Trial] = []
    while len(done) < count:
        one, before = clone(empty, folder / f"side by side {len(done)} {rng.random()}"), len(done)
        while len(done) < count and killed(one, "wen", "run", after=rng.uniform(5, seconds / 2))[0] == -signal.SIGKILL:
            done.append(("`wen run`", []))
            print(f"{len(done)}: {done[-1][0]}", flush=True)
        reproduce(one)
        if len(done) > before:
            done[-1][1].extend(differences(study.root, one.root))
    return done


def _stop(study: Study, windows: dict[str, float], *command: str, rng: random.Random) -> bool:
    """Kill a command of DVC within the time that it took last; return whether it was still running."""
    begin = time.monotonic()
    code, _ = killed(study, "dvc", *command, after=rng.uniform(0.3, windows[command[0]]))
    if code == 0:
        windows[command[0]] = time.monotonic() - begin
    return code == -signal.SIGKILL
