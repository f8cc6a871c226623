"""Entry point of ``wen``: handle signals first, then run the code of the current folder."""

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from wen.errors import Message
from wen.signals import STOPPING, end_with_parent


def _stop(number: int, _: object) -> NoReturn:
    """Exit at once with the status that shells expect; unfinished outputs still have temporary names."""
    name = signal.Signals(number).name
    trains = "DVC_STAGE" in os.environ or "train-fold" in sys.argv
    remedy: Message = "; `dvc repro` resumes each training from its last finished epoch" if trains else ""
    text: Message = f"stopped by {name}{remedy}\n"
    os.write(2, text.encode())  # not print, which the signal may have interrupted
    os._exit(128 + number)


for number in STOPPING:
    signal.signal(number, _stop)
if "DVC_STAGE" in os.environ:
    end_with_parent()


def main() -> None:
    """Run the command line, of the study in the current folder if it has its own code."""
    _change_to_code_here()
    from wen import cli

    cli.main()


def _change_to_code_here() -> None:
    """Restart with src/wen of the current folder, if other code is running.

    One environment serves several copies of the project: DVC's temporary folders, worktrees and clones. Its ``wen``
    belongs to the copy that it was installed from; without a restart, results of one copy would be computed by the
    code of another.
    """
    here, running = Path("src/wen").resolve(), Path(__file__).resolve().parent
    if here == running or not (here / "cli.py").is_file():
        return
    if os.environ.get("WEN_CODE") == str(here) or not (here / "__main__.py").is_file():
        sys.exit(
            f"error: `wen` is installed from {running.parent} and cannot run the code of this folder, {here.parent}; "
            "install this folder in an environment of its own (`make demo` does this) and use that"
        )
    os.environ["WEN_CODE"] = str(here)
    paths = [str(here.parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "wen", *sys.argv[1:]])


if __name__ == "__main__":
    main()
