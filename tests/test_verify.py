"""Damage that a power cut or a disk does to outputs, to DVC's cache and to a remote, in a study of one small stage."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wen import store, verify
from wen.errors import WenError
from wen.paths import Paths

MAKE = """
from pathlib import Path
Path("model.bin").write_bytes(bytes(range(1, 256)) * 100)
Path("features").mkdir()
for number in range(4):
    Path(f"features/{number}.npy").write_bytes(bytes([number + 1]) * 9000)
Path("metrics.json").write_text('{"accuracy": 0.9}')
open("runs.log", "a").write("run ")
"""
STAGE = """
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    outs: [model.bin, features]
    metrics: [metrics.json: {cache: false}]
"""
FILES = ("model.bin", "features/1.npy", "metrics.json")


class Project:
    """A DVC repository with one stage."""

    def __init__(self, root: Path) -> None:
        self.root = root
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "DVC_", "WEN_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = {**keep, "PATH": path, "HOME": str(root.parent), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(self, *command: str, fails: bool = False) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def content(self) -> dict[str, bytes]:
        names = ["dvc.lock", "model.bin", "metrics.json", *(f"features/{number}.npy" for number in range(4))]
        return {name: (self.root / name).read_bytes() for name in names if (self.root / name).exists()}

    def object(self, name: str) -> Path:
        """Where the cache holds a file, or with a slash at its end a folder's listing."""
        outs = {out.path: out.md5 for out in store.outputs(self.root)}
        cache = store.cache_folder(self.root)
        if name.endswith("/") or name in outs:
            return store.object_path(cache, outs[name.rstrip("/")])
        folder, file = name.split("/")
        return store.object_path(cache, store.read_listing(self.object(f"{folder}/").read_bytes())[file])

    def check(self) -> list[str]:
        return verify.check(Paths(self.root))


def new_project(folder: Path, link: str) -> Project:
    project = Project(folder / "study")
    project.root.mkdir()
    project.run("git", "init", "--quiet")
    project.run("git", "config", "user.name", "tester")
    project.run("git", "config", "user.email", "tester@example.org")
    project.run("dvc", "init", "--quiet")
    for option, value in (("cache.type", link), ("core.analytics", "false"), ("core.site_cache_dir", str(folder))):
        project.run("dvc", "config", option, value)
    (project.root / "make.py").write_text(MAKE)
    (project.root / "dvc.yaml").write_text(STAGE)
    project.run("dvc", "repro", "--quiet")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "Made")
    return project


@pytest.fixture(scope="module", params=["copy", "hardlink", "symlink"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return new_project(tmp_path_factory.mktemp(request.param), request.param)


def emptied(content: bytes) -> bytes:
    return b""


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def zeroed(content: bytes) -> bytes:
    return bytes(len(content))


def zeroed_at_its_end(content: bytes) -> bytes:
    return content[: len(content) // 2 // 4096 * 4096].ljust(len(content), b"\0")


DAMAGE = (emptied, cut, zeroed, zeroed_at_its_end)


def damage(path: Path, how: Callable[[bytes], bytes], keep_time: bool = True) -> None:
    """Change a file in place, as a power cut does: its name, number and mode stay, and with them its time."""
    path, before = path.resolve(), path.stat()
    path.chmod(0o644)
    path.write_bytes(how(path.read_bytes()))
    path.chmod(before.st_mode)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("keep_time", [True, False], ids=["time kept", "time changed"])
@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_outputs_are_named_and_dvc_repro_ends_with_the_right_bytes(
    project: Project, how: Callable[[bytes], bytes], keep_time: bool
) -> None:
    good = project.content()
    assert project.check() == []
    for name in FILES:
        damage(project.root / name, how, keep_time)
    assert sorted(project.check()) == sorted(FILES)
    project.run("dvc", "repro")
    assert project.content() == good
    assert project.check() == []
    project.run("wen", "verify")
