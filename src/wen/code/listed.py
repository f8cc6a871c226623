"""Stage ``code``: list the code that each stage executes; a change of it, and of nothing else, reruns the stage.

If a stage depended on its source files, a comment would retrain fifteen models; a list kept by hand would become
incomplete. This module hashes the files that a stage's command executes (`wen.code.executed`), without what cannot
change a number (`wen.code.bare`): comments, docstrings, line breaks and messages.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wen.code import executed
from wen.code.bare import bare
from wen.config.paths import Paths
from wen.config.stages import STAGES
from wen.errors import Message, WenError
from wen.files import atomic, sha256

LIBRARIES = {
    "numpy": "numpy", "openvino": "openvino", "optuna": "optuna", "pandas": "pandas", "PIL": "pillow",
    "safetensors": "safetensors", "scipy": "scipy", "skops": "skops", "sklearn": "scikit-learn",
    "statsmodels": "statsmodels", "timm": "timm", "torch": "torch", "torchvision": "torchvision", "xgboost": "xgboost",
}  # fmt: skip
"""Libraries that compute numbers: the module, and the package that installs it."""
SEAL = "seal"
SYSTEM = "system"


def run(paths: Paths) -> None:
    """Write data/code/STAGE.txt for each stage: the code that it executes and the libraries that it computes with.

    The file has one line per source file, with the SHA-256 of its `digest` and its name, and one line per library with
    its release. The changed stages are printed, with the files and libraries that changed since the last list.
    data/code/seal.txt makes the next check fast.
    """
    if _sealed(paths):
        print("code and libraries: up to date")
        return
    texts = {stage: listing(stage) for stage in _listed()}
    differing = {stage: _differing(_recorded(stage, paths), text) for stage, text in texts.items()}
    changed = [stage for stage, names in differing.items() if names]
    what = f" ({_some(set().union(*differing.values()))})" if changed and paths.code.is_dir() else ""
    with atomic(paths.code) as partial:
        partial.mkdir()
        (partial / SYSTEM).mkdir()
        for name, text in (texts | {SEAL: _seal(list(texts.values()))}).items():
            (partial / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")
    state: Message = f"changed for {', '.join(changed)}{what}" if changed else "up to date"
    print(f"code and libraries: {state}")


def _listed() -> list[str]:
    """Name the listings: one per stage; for the stage ``system``, one per system, such as system/baby2022."""
    return [stage for stage in STAGES if stage != SYSTEM] + [f"{SYSTEM}/{file.stem}" for file in executed.published()]


def check(stage: str, paths: Paths) -> None:
    """Refuse to run a stage under DVC with other code or libraries than those that DVC has recorded for it.

    For the stage ``system``, ``stage`` also names the system, as in system/baby2022.

    Raises
    ------
    WenError
        If data/code lists other code or releases; the message names them.
    """
    if _sealed(paths):
        return
    if names := _differing(_recorded(stage, paths), listing(stage)):
        raise WenError(
            f"{paths.code_of(stage)}: lists other code or libraries than this stage would run with ({_some(names)}); "
            "run `dvc repro`, which updates the list"
        )


def _differing(one: str, other: str) -> set[str]:
    """Name the files and libraries in which two listings differ."""
    return {line.split("  ")[-1] for line in set(one.splitlines()) ^ set(other.splitlines())}


def _some(names: set[str]) -> Message:
    """Join the first five names, and add the number of the others."""
    return ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _sealed(paths: Paths) -> bool:
    """Whether data/code lists the present files and releases."""
    return _recorded(SEAL, paths) == _seal([_recorded(stage, paths) for stage in _listed()])


def _seal(texts: list[str]) -> str:
    """Hash all listings, every byte of the package, and the releases of the libraries."""
    content = hashlib.sha256("".join(texts).encode())
    for file in executed.package_files():
        content.update(
            file.relative_to(executed.SOURCE).as_posix().encode() + file.read_bytes().replace(b"\r\n", b"\n")
        )
    content.update(" ".join(_release(library) for library in LIBRARIES.values()).encode())
    return content.hexdigest() + "\n"


def fingerprint() -> str:
    """Hash every byte of the package, and the releases of the libraries that compute numbers."""
    return _seal([]).strip()


def _recorded(name: str, paths: Paths) -> str:
    path = paths.code_of(name)
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def current(stages: Iterable[str], paths: Paths) -> dict[str, str]:
    """Return the `listing` of each stage, from data/code if the seal is valid, because reading all code takes time."""
    sealed = _sealed(paths)
    return {stage: _recorded(stage, paths) if sealed else listing(stage) for stage in stages}


def listing(stage: str) -> str:
    """Return the content of data/code/STAGE.txt, or of data/code/system/NAME.txt for a published system."""
    found = executed.files(stage)
    lines = [f"{digest(file, stage)}  {file.relative_to(executed.SOURCE).as_posix()}" for file in found]
    names = {name.split(".")[0] for file in found if file.suffix == ".py" for name in executed.imports(file, stage)}
    lines += [f"{_release(LIBRARIES[name])}  {LIBRARIES[name]}" for name in sorted(names & set(LIBRARIES))]
    return "".join(f"{line}\n" for line in lines)


def digest(file: Path, stage: str) -> str:
    """Return the SHA-256 of the part of a file that concerns a stage (`wen.code.bare`), independent of line ends."""
    text = executed.read(file, stage)
    return sha256((bare(text) if file.suffix == ".py" else text).encode())


@cache
def _release(library: str) -> str:
    """Return the installed release of a library; builds of one release, such as +cpu, count as equal."""
    try:
        return version(library).split("+")[0]
    except PackageNotFoundError:
        return "not installed"
