"""Damage by a power cut or a disk to outputs, cache and remote is found and repaired, in a study of one stage."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import boto3
import pytest
import warm
from moto.server import ThreadedMotoServer

from wen.config.paths import Paths
from wen.errors import WenError
from wen.integrity import store, verify
from wen.integrity.remote import run as run_remote

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


@pytest.fixture(autouse=True)
def _dvc_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """`wen verify --remote` starts DVC five times."""
    monkeypatch.setattr("wen.dvc.DVC", warm.dvc())


class Project:
    """A DVC repository with one stage."""

    def __init__(self, root: Path) -> None:
        self.root = root
        others = ("GIT_", "DVC_", "WEN_", "PYTHON")
        keep = {key: value for key, value in os.environ.items() if not key.startswith(others)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = warm.variables({**keep, "PATH": path, "HOME": str(root.parent), "GIT_CONFIG_NOSYSTEM": "1"})

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


class Remote(Protocol):
    """Where DVC pushes to, file by file, by their places in the cache."""

    def delete(self, place: Path) -> None: ...


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def delete(self, place: Path) -> None:
        self.root.joinpath(*place.parts[-4:]).unlink()


class Bucket:
    def __init__(self, client: Any, folder: str) -> None:
        self.client, self.folder = client, folder

    def delete(self, place: Path) -> None:
        self.client.delete_object(Bucket="store", Key="/".join((self.folder, *place.parts[-4:])))


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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    """A project for each way in which DVC puts what it keeps into the workspace."""
    return {link: new_project(tmp_path_factory.mktemp(link), link) for link in ("copy", "hardlink", "symlink")}


def copy_of(project: Project, folder: Path) -> Project:
    """A copy in which what was linked is linked again."""
    folder.mkdir()
    subprocess.run(["cp", "-a", project.root, folder / "study"], check=True)  # hard links within it, too
    copy = Project(folder / "study")
    config = copy.root / ".dvc/config"
    config.write_text(config.read_text().replace(f"= {project.root.parent}", f"= {folder}"))
    if (copy.root / "model.bin").is_symlink():
        copy.run("dvc", "checkout", "--relink", "--force")
    return copy


@pytest.fixture(params=["copy", "hardlink", "symlink"])
def project(request: pytest.FixtureRequest, made: dict[str, Project], tmp_path: Path) -> Project:
    return copy_of(made[request.param], tmp_path / "copy")


@pytest.fixture
def copied(made: dict[str, Project], tmp_path: Path) -> Project:
    """The workspace has copies of what is in the cache."""
    return copy_of(made["copy"], tmp_path / "copy")


@pytest.fixture
def linked(made: dict[str, Project], tmp_path: Path) -> Project:
    """The workspace has hard links to what is in the cache."""
    return copy_of(made["hardlink"], tmp_path / "copy")


def emptied(content: bytes) -> bytes:
    return b""


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def zeroed(content: bytes) -> bytes:
    return bytes(len(content))


def zeroed_at_its_end(content: bytes) -> bytes:
    return content[: len(content) // 2 // 4096 * 4096].ljust(len(content), b"\0")


DAMAGE = (emptied, cut, zeroed, zeroed_at_its_end)


def damage(path: Path, how: Callable[[bytes], bytes]) -> None:
    """Change a file in place, as a power cut does: its name, number, mode and time stay."""
    path, before = path.resolve(), path.stat()
    path.chmod(0o644)
    path.write_bytes(how(path.read_bytes()))
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def make_differently(project: Project) -> None:
    """Change the stage's code, as an experiment does."""
    (project.root / "make.py").write_text(MAKE.replace("number + 1", "number + 2").replace("* 100", "* 90"))


def times_run(project: Project) -> int:
    return (project.root / "runs.log").read_text().count("run")


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_outputs_are_named_and_dvc_repro_ends_with_the_right_bytes(
    project: Project, how: Callable[[bytes], bytes]
) -> None:
    good = project.content()
    project.run("dvc", "status")  # so DVC knows the files by their sizes and times
    assert project.check() == []
    for name in FILES:
        damage(project.root / name, how)
    assert sorted(project.check()) == sorted(FILES)
    project.run("dvc", "repro")
    assert project.content() == good
    assert project.check() == []
    verify.run(Paths(project.root))


def test_dvc_alone_does_not_notice_damage(linked: Project) -> None:
    """Why there is a check: should DVC notice by itself one day, this fails and the check can go."""
    good = linked.content()
    damage(linked.root / "model.bin", emptied)
    linked.run("dvc", "repro")
    assert linked.content() != good


FIRST = """
import sys
from pathlib import Path
from wen.config.paths import Paths
from wen.integrity.verify import check
print("damaged:", *check(Paths()))
Path("first.txt").write_text("as before")
"""
FIRST_STAGE = """
  first:
    cmd: python first.py
    always_changed: true
    outs: [first.txt]
"""


def test_a_check_in_the_first_stage_protects_the_stages_after_it(linked: Project) -> None:
    (linked.root / "first.py").write_text(FIRST)
    (linked.root / "dvc.yaml").write_text(STAGE.replace("deps: [make.py]", "deps: [make.py, first.txt]") + FIRST_STAGE)
    linked.run("dvc", "repro")
    good = linked.content()
    for name in FILES:
        damage(linked.root / name, zeroed)
    assert "damaged: features/1.npy metrics.json model.bin" in linked.run("dvc", "repro")
    assert linked.content() == good


def test_an_output_damaged_only_in_the_cache_is_restored_from_the_workspace_without_a_rerun(copied: Project) -> None:
    good, runs = copied.content(), times_run(copied)
    objects = [copied.object(name) for name in (*FILES, "features/")]
    for path in objects:
        damage(path, zeroed)
    assert len(copied.check()) == 4
    assert "up to date" in copied.run("dvc", "repro")
    assert (copied.content(), times_run(copied)) == (good, runs)
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in objects)
    verify.run(Paths(copied.root))


def test_an_output_damaged_only_in_the_workspace_is_restored_from_the_cache_without_a_rerun(copied: Project) -> None:
    good, runs = copied.content(), times_run(copied)
    for name in FILES:
        damage(copied.root / name, zeroed)
    assert sorted(copied.check()) == sorted(FILES)
    assert copied.content() == good
    assert "up to date" in copied.run("dvc", "repro")
    assert times_run(copied) == runs


def test_a_damaged_listing_of_a_folder_is_made_again(linked: Project) -> None:
    good, runs = linked.content(), times_run(linked)
    damage(linked.object("features/"), cut)
    (name,) = linked.check()
    assert name.endswith(".dir")
    assert "up to date" in linked.run("dvc", "repro")
    assert (linked.content(), times_run(linked)) == (good, runs)


def test_a_damaged_folder_whose_listing_is_damaged_too_is_made_again(linked: Project) -> None:
    good = linked.content()
    damage(linked.object("features/"), zeroed)
    damage(linked.root / "features/1.npy", zeroed)
    assert "features/1.npy" in linked.check()
    linked.run("dvc", "repro")
    assert linked.content() == good


@pytest.mark.parametrize("how", DAMAGE)
def test_outputs_outside_the_cache_are_restored_by_git(copied: Project, how: Callable[[bytes], bytes]) -> None:
    """As in a clone: its metrics come from git, and the images that they were made from may be elsewhere."""
    good = copied.content()
    copied.object("metrics.json").unlink()
    damage(copied.root / "metrics.json", how)
    assert copied.check() == ["metrics.json"]
    assert copied.content() == good


def test_an_empty_folder_of_the_run_cache_goes_unless_it_was_made_just_now(copied: Project) -> None:
    """DVC leaves one if it is killed after it dropped a damaged entry, and fails there until it is gone."""
    folder = next((copied.root / ".dvc/cache/runs").glob("*/*"))
    for entry in folder.iterdir():
        entry.unlink()
    copied.check()
    assert folder.is_dir()  # another process may be about to fill it
    os.utime(folder, (0, 0))
    copied.check()
    assert not folder.exists()


def test_without_its_cache_a_study_runs_nothing_again_and_the_cache_is_filled_from_its_outputs(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after the cache was moved or deleted; DVC alone would delete every output and run every stage."""
    good, runs = project.content(), times_run(project)
    shutil.rmtree(store.cache_folder(project.root))
    if (project.root / "model.bin").is_symlink():  # nothing is left but metrics.json
        assert project.check() == []
        assert "lacked" not in capsys.readouterr().err
        return
    linked = not (project.root / "model.bin").stat().st_mode & 0o222
    assert project.check() == []
    assert "lacked 6 files that dvc.lock names" in capsys.readouterr().err
    assert "up to date" in project.run("dvc", "repro")
    assert (project.content(), times_run(project)) == (good, runs)
    assert project.object("model.bin").samefile(project.root / "model.bin") == linked
    assert all(project.object(name).stat().st_mode & 0o777 == 0o444 for name in ("model.bin", "features/"))
    verify.run(Paths(project.root))


@pytest.mark.parametrize("shared", [True, False])
def test_a_cache_shared_by_a_group_is_filled_so_that_others_of_the_group_can_add_to_it(
    copied: Project, shared: bool
) -> None:
    (copied.root / ".dvc/config.local").write_text("[cache]\nshared = group\n" * shared)
    shutil.rmtree(store.cache_folder(copied.root))
    before = os.umask(0o022)
    copied.check()
    assert os.umask(before) == 0o022
    cache = store.cache_folder(copied.root)
    folders = [cache, *(path for path in cache.rglob("*") if path.is_dir())]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o775 if shared else 0o755}


def test_outputs_that_dvc_yaml_keeps_out_of_the_cache_are_not_missed_there_before_they_are_committed(
    copied: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    copied.run("git", "rm", "--quiet", "--cached", "metrics.json")
    copied.object("metrics.json").unlink()  # DVC's run-cache had it
    assert copied.check() == []
    assert "lacked" not in capsys.readouterr().err
    verify.run(Paths(copied.root))
    (copied.root / "dvc.yaml").write_text(STAGE.replace("metrics.json: {cache: false}", "metrics.json: {cache: true}"))
    copied.check()
    assert "lacked 1 files" in capsys.readouterr().err


def test_wen_verify_names_the_cache_that_is_missing_and_fills_it(copied: Project) -> None:
    shutil.rmtree(store.cache_folder(copied.root))
    (copied.root / "model.bin").write_bytes(b"x" * 25500)  # not what dvc.lock names
    with pytest.raises(WenError, match=r"^outputs that are missing, or not .*, 1: model\.bin"):
        verify.run(Paths(copied.root))
    assert not copied.object("model.bin").exists()
    copied.object("features/1.npy").unlink()
    (copied.root / "model.bin").write_bytes(bytes(range(1, 256)) * 100)
    with pytest.raises(WenError, match=r"cache: DVC's cache lacked 2 files that dvc\.lock names; they were added"):
        verify.run(Paths(copied.root))
    verify.run(Paths(copied.root))


def test_a_clone_without_outputs_adds_nothing_to_its_cache(copied: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "clone/study")
    copied.run("git", "clone", "--quiet", ".", str(other.root))
    assert other.check() == []
    assert not list(store.cache_folder(other.root).rglob("*.dir"))
    assert (other.root / "metrics.json").exists()


def test_a_byte_changed_by_the_disk_is_found(linked: Project) -> None:
    good = linked.content()
    damage(linked.root / "model.bin", lambda content: content[:5000] + b"\xff" + content[5001:])
    assert linked.check() == ["model.bin"]
    linked.run("dvc", "repro")
    assert linked.content() == good


def test_a_file_that_was_edited_is_left_to_dvc_which_notices_it(copied: Project) -> None:
    good = copied.content()
    copied.run("dvc", "status")  # so DVC knows the file by its size and time
    damage(copied.root / "metrics.json", lambda content: content.replace(b"0.9", b"0.8"))  # at an equal time
    assert "up to date" in copied.run("dvc", "status")
    edited = copied.content()
    assert copied.check() == []
    assert copied.content() == edited
    assert "modified" in copied.run("dvc", "status")
    copied.run("dvc", "repro")
    assert copied.content() == good


def test_missing_and_edited_outputs_are_named(copied: Project) -> None:
    verify.run(Paths(copied.root))
    damage(copied.root / "metrics.json", lambda content: content.replace(b"0.9", b"0.8"))
    (copied.root / "features/1.npy").unlink()
    with pytest.raises(
        WenError, match=r"^outputs that are missing, or not .*, 2: (features/1\.npy, metrics|metrics\.json, f)"
    ):
        verify.run(Paths(copied.root))
    copied.run("dvc", "checkout", "--force")
    copied.run("git", "checkout", "metrics.json")
    verify.run(Paths(copied.root))


def test_a_folder_of_which_nothing_is_left_is_named(copied: Project) -> None:
    shutil.rmtree(store.cache_folder(copied.root))
    shutil.rmtree(copied.root / "features")
    (copied.root / "model.bin").unlink()
    with pytest.raises(WenError, match=r"^outputs that are missing, .*, 2: model\.bin, features\. `dvc checkout`"):
        verify.run(Paths(copied.root))


def test_outputs_of_another_version_are_left_alone(copied: Project) -> None:
    lock = (copied.root / "dvc.lock").read_bytes()
    make_differently(copied)
    copied.run("dvc", "repro")
    other = copied.content()
    (copied.root / "dvc.lock").write_bytes(lock)  # as git checkout does, and dvc checkout not yet
    times = [(copied.root / name).stat().st_mtime_ns for name in FILES]
    assert copied.check() == []
    assert copied.content() == other | {"dvc.lock": lock}
    assert [(copied.root / name).stat().st_mtime_ns for name in FILES][:2] == times[:2]


def test_damage_to_what_an_unfinished_run_left_in_the_cache_is_found(linked: Project) -> None:
    """The run cache has the output and dvc.lock does not: the power failed in between."""
    lock = (linked.root / "dvc.lock").read_bytes()
    make_differently(linked)
    linked.run("dvc", "repro")
    good = linked.content()
    (linked.root / "dvc.lock").write_bytes(lock)
    for name in FILES:
        damage(linked.root / name, zeroed)
    assert linked.check()
    linked.run("dvc", "repro")
    assert linked.content() == good


def test_an_empty_folder_of_the_run_cache_does_not_stop_dvc(copied: Project) -> None:
    good = copied.content()
    (run,) = (path for path in (copied.root / ".dvc/cache/runs").rglob("*") if path.is_file())
    run.unlink()  # as DVC does with a damaged one
    (copied.root / "dvc.lock").unlink()
    assert "NoneType" in copied.run("dvc", "repro", fails=True)
    os.utime(run.parent, (0, 0))
    copied.check()
    copied.run("dvc", "repro")
    assert copied.content() == good


def test_an_experiment_in_a_temporary_folder_is_checked_too(copied: Project) -> None:
    """Its cache is the study's."""
    root = copied.root / ".dvc/tmp/exps/one"
    copied.run("git", "clone", "--quiet", ".", str(root))
    (root / ".dvc/config.local").write_text(f'[cache]\n    dir = "{copied.root / ".dvc/cache"}"\n')
    other = Project(root)
    other.run("dvc", "checkout")
    damage(root / "features/1.npy", zeroed)
    damage(copied.object("model.bin"), zeroed)
    assert sorted(path.name for path in map(Path, other.check())) == ["1.npy", copied.object("model.bin").name]
    assert other.content() == copied.content()


@pytest.mark.parametrize("written", ["absolute", "relative", "home", "with a remark"])
def test_the_cache_that_a_user_set_for_all_projects_is_checked(
    copied: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("HOME", str(tmp_path))
    place = {
        "absolute": str(tmp_path / "cache"), "relative": "../cache", "home": "~/cache",
        "with a remark": f"{tmp_path}/cache  # the large disk",
    }[written]  # fmt: skip
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings/config").write_text(f"[cache]\n    dir = {place}\n")
    (copied.root / ".dvc/cache").rename(tmp_path / "cache")
    assert store.cache_folder(copied.root).resolve() == tmp_path / "cache"
    damage(copied.object("model.bin"), zeroed)
    assert [Path(name).name for name in copied.check()] == [copied.object("model.bin").name]
    assert copied.object("model.bin").read_bytes() == (copied.root / "model.bin").read_bytes()


def test_files_already_hashed_are_not_read_again(copied: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    copied.check()
    read: list[Path] = []
    md5 = store._md5
    monkeypatch.setattr(store, "_md5", lambda path: read.append(path) or md5(path))
    assert copied.check() == []
    assert read == []


@pytest.mark.parametrize(("age", "again"), [(3600, True), (100_000, False)], ids=["an hour old", "a day old"])
def test_after_a_restart_of_the_machine_new_files_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: int, again: bool
) -> None:
    """Files of the last day are read again, since a power cut keeps their names, inodes and times."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    now = time.time() + age
    monkeypatch.setattr(time, "time", lambda: now)
    before = store.Digests(tmp_path / "table")
    assert before.of([path])
    before.save()
    assert store.Digests(tmp_path / "table").cached
    monkeypatch.setattr(store, "_boot_id", lambda: "another")
    assert (not store.Digests(tmp_path / "table").cached) == again


def test_no_file_outside_the_study_is_touched(copied: Project, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.touch()
    lock = (copied.root / "dvc.lock").read_text()
    for path in (str(precious), os.path.relpath(precious, copied.root)):
        (copied.root / "dvc.lock").write_text(lock.replace("path: model.bin", f"path: {path}"))
        copied.check()
    assert precious.exists()


@pytest.mark.parametrize("content", ["<<<<<<< HEAD\n", "stages: [1]", "\0" * 9, "stages: {make: {outs: [{}]}}"])
def test_a_damaged_lock_is_named(copied: Project, content: str) -> None:
    (copied.root / "dvc.lock").write_text(content)
    with pytest.raises(WenError, match=r"dvc\.lock"):
        copied.check()


def test_of_many_names_only_the_first_are_listed() -> None:
    assert verify.listed(["a", "b"]) == "a, b"
    assert verify.listed(["a", "b", "c", "d"], most=2) == "a, b and 2 others"


def test_without_dvc_there_is_nothing_to_check(tmp_path: Path) -> None:
    assert verify.check(Paths(tmp_path)) == []
    with pytest.raises(WenError, match="not a DVC repository"):
        verify.run(Paths(tmp_path))


@pytest.fixture(params=["folder", "s3"])
def pushed(request: pytest.FixtureRequest, copied: Project, tmp_path: Path) -> Iterator[tuple[Project, Remote]]:
    """A project that has been pushed, and its remote."""
    if request.param == "folder":
        store = tmp_path / ("store" * 20)  # longer than a line of `dvc remote list`
        remote: Remote = Folder(store)
        copied.run("dvc", "remote", "add", "--default", "store", str(store))
        copied.run("dvc", "push")
        yield copied, remote
        return
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    keys = {"access_key_id": "someone", "secret_access_key": "secret"}
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="someone", aws_secret_access_key="secret"
    )
    client.create_bucket(Bucket="store")
    copied.run(
        "dvc", "remote", "add", "--default", "store", f"s3://store/{tmp_path.name}"
    )  # buckets outlive their server

    for name, value in {"endpointurl": address, **keys}.items():
        copied.run("dvc", "remote", "modify", "store", name, value)
    copied.run("dvc", "push")
    yield copied, Bucket(client, tmp_path.name)
    server.stop()


def test_objects_missing_after_a_killed_push_are_pushed(
    pushed: tuple[Project, Remote], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, remote = pushed
    for name in ("features/1.npy", "features/2.npy", "features/3.npy"):
        remote.delete(project.object(name))
    assert "up to date" in project.run("dvc", "push")  # DVC takes a folder's files for granted
    assert "missing or damaged in the remote: 3" in project.run("wen", "verify", "--remote", "store")
    run_remote(Paths(project.root), None)
    assert "missing or damaged in the remote: 0" in capsys.readouterr().out
    project.run("git", "commit", "--quiet", "--all", "--message", "Pushed")
    project.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.run("dvc", "pull")
    assert clone.content() == project.content()


def test_objects_neither_here_nor_in_the_remote_are_named(pushed: tuple[Project, Remote]) -> None:
    project, remote = pushed
    for name in ("features/1.npy", "model.bin"):
        place = project.object(name)
        remote.delete(place)
        damage(place, zeroed)
    with pytest.raises(WenError, match=r"remote, 2: features/1.npy, model.bin"):
        run_remote(Paths(project.root), None)


def test_an_object_only_in_the_remote_is_not_missing(
    pushed: tuple[Project, Remote], capsys: pytest.CaptureFixture[str]
) -> None:
    project, _ = pushed
    shutil.rmtree(project.root / ".dvc/cache")
    run_remote(Paths(project.root), None)
    assert "missing or damaged in the remote: 0" in capsys.readouterr().out


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_objects_in_a_remote_folder_are_replaced(
    copied: Project, tmp_path: Path, how: Callable[[bytes], bytes]
) -> None:
    copied.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    copied.run("dvc", "push")
    for name in ("model.bin", "features/1.npy", "features/"):
        damage(tmp_path / "store" / copied.object(name).relative_to(copied.root / ".dvc/cache"), how)
    run_remote(Paths(copied.root), None)
    for name in ("model.bin", "features/1.npy", "features/"):
        place = copied.object(name)
        stored = tmp_path / "store" / place.relative_to(copied.root / ".dvc/cache")
        assert stored.read_bytes() == place.read_bytes()


def test_a_list_that_a_killed_pull_left_is_dropped(copied: Project, tmp_path: Path) -> None:
    """DVC caches its list of the objects to pull and does not ask again."""
    copied.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    copied.run("dvc", "push")
    lists = next(folder for folder in tmp_path.rglob("index") if folder.is_dir())
    run_remote(Paths(copied.root), None)
    assert not lists.exists()
    assert "up to date" in copied.run("dvc", "push")


@pytest.mark.parametrize("name", [None, "nowhere"])
def test_a_remote_that_does_not_exist_is_refused(copied: Project, name: str | None) -> None:
    with pytest.raises(WenError, match="remote"):
        run_remote(Paths(copied.root), name)


def test_a_name_without_remote_is_refused(copied: Project) -> None:
    assert "--remote" in copied.run("wen", "verify", "store", fails=True)
