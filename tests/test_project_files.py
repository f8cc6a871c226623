"""The files around the code agree with one another: requirements and lock, versions, make's targets, the container."""

import copy
import getpass
import os
import pwd
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from dvc.stage.cache import _get_cache_hash
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pathspec import PathSpec
from ruamel.yaml import YAML

from wen.config.read import load
from wen.data.folder import is_litter
from wen.files import read_json
from wen.installed import STUDY
from wen.systems.system import settings_of

DOCS = sorted((PROJECT / "docs").glob("*.md"))


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]
    return found


def test_the_lock_has_a_release_in_its_range_for_every_requirement(project: dict[str, Any]) -> None:
    locked = {
        canonicalize_name(n): r for n, r in re.findall(r"^([\w.-]+)==(\S+)$", read("constraints.txt"), re.MULTILINE)
    }
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    asked = [Requirement(text) for text in (*project["dependencies"], *extras)]
    for requirement in asked:
        name = canonicalize_name(requirement.name)
        if name != "wen":
            assert name in locked, f"{name} is not in constraints.txt"
            assert locked[name] in requirement.specifier, f"{requirement}: constraints.txt has {locked[name]}"


def test_the_version_is_the_citation_s_and_the_changelog_s(project: dict[str, Any]) -> None:
    citation = YAML(typ="safe", pure=True).load(read("CITATION.cff"))
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.MULTILINE)
    assert (citation["version"], str(citation["date-released"])) == versions[0]
    assert project["version"] == versions[0][0]
    assert {"title", "message", "authors", "abstract", "keywords", "license", "cff-version"} <= set(citation)


@pytest.mark.parametrize(
    "name",
    [
        "CONTRIBUTING.md",
        "README.md",
        "docs/INSTALL.md",
        ".github/workflows/test.yml",
        ".devcontainer/devcontainer.json",
    ],
)
def test_every_target_of_make_that_is_named_exists(name: str) -> None:
    targets = set(re.findall(r"^([\w./()$-]+):", read("Makefile"), re.MULTILINE)) | {".venv/bin/installed"}
    named = set(re.findall(r"(?:`|run: |^|\": \")make ([a-z./]+)", read(name), re.MULTILINE))
    assert named
    assert named <= targets


def given(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """The arguments that `make study` passes to a `wen` that prints them."""
    if not (folder / "Makefile").exists():
        (folder / ".venv/bin").mkdir(parents=True)
        shutil.copy(PROJECT / "Makefile", folder)
        for name in ("pyproject.toml", "constraints.txt", ".venv/bin/installed"):
            (folder / name).touch()
        (folder / ".venv/bin/wen").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
        (folder / ".venv/bin/wen").chmod(0o755)
    made = subprocess.run(
        ["make", "--silent", "study", *arguments], cwd=folder, env=dict(os.environ) | environment, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return made.stdout.splitlines()


def test_make_study_passes_names_and_patterns_as_typed(tmp_path: Path) -> None:
    data, name, pattern = "/data/$x `date` it's", 'Lab "7" & $(HOME) #1', r"(\d+)\.png$|^P'(\d+)"
    asked = given(tmp_path, f"DATA={data}", f"NAME={name}", f"SUBJECT={pattern}", "CLASSES='not ill' ill", "TABLE=a;b")
    assert asked == [
        "study", data, "--profile", "thesis", "--table", "a;b", "--classes", "not ill", "ill", "--name", name,
        "--subject", pattern,
    ]  # fmt: skip


def test_make_study_ignores_the_environment_variable_name(tmp_path: Path) -> None:
    assert given(tmp_path, "DATA=x", NAME="DESKTOP-1") == ["study", "x", "--profile", "thesis"]


def test_make_creates_an_environment_of_another_folder_again(tmp_path: Path) -> None:
    """As after the project was moved or copied; its programs would not start, or be those of the other folder."""
    given(tmp_path / "one", "DATA=x")
    (tmp_path / "one/.venv/bin/installed").write_text(f"{tmp_path}/one\n")
    (tmp_path / "link").symlink_to("one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for folder, recreated in (("one", False), ("link", False), ("two", True)):
        command = ["make", "--dry-run", "-C", str(tmp_path / folder), "study", "DATA=x"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ("-m venv --clear .venv" in done.stdout) is recreated


@pytest.mark.parametrize(
    "name", [".DS_Store", "._0.npz", ".directory", ".ipynb_checkpoints/0.csv", "Thumbs.db", "@eaDir/0", "desktop.ini"]
)
def test_what_systems_leave_among_outputs_is_no_input_of_a_stage(name: str) -> None:
    """Nor does `wen classify` count it when it compares outputs with dvc.lock."""
    ignored = PathSpec.from_lines("gitignore", read(".dvcignore").splitlines())
    assert ignored.match_file(f"data/predictions/{name}")
    assert is_litter(Path("data/predictions", name))


def test_the_files_of_a_new_study_are_in_the_image_and_the_source_distribution() -> None:
    kept = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    needed = {*STUDY, "src", "setup.py", "pyproject.toml", "README.md", "LICENSE"}
    assert needed <= kept
    for name in kept:
        assert (PROJECT / name).exists(), name
    manifest = read("MANIFEST.in")
    for name in STUDY:
        assert Path(name).name in manifest or Path(name).parts[0] in manifest, name


def test_in_the_image_dvc_finds_the_name_of_a_user_whom_the_image_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    line = re.search(r"^ENV (.+)$", read("Dockerfile"), re.MULTILINE)
    assert line
    for name, _, value in (variable.partition("=") for variable in line[1].split()):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert getpass.getuser() == "wen"


def test_workflows_run_on_every_python_that_the_project_supports(project: dict[str, Any]) -> None:
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert supported[0] == project["requires-python"].removeprefix(">=")
    jobs = {
        name: job
        for workflow in ("test", "report")
        for name, job in YAML(typ="safe", pure=True).load(read(f".github/workflows/{workflow}.yml"))["jobs"].items()
    }
    assert jobs["test"]["strategy"]["matrix"]["python-version"] == supported
    used = [
        step["with"]["python-version"]
        for job in jobs.values()
        for step in job["steps"]
        if "python-version" in step.get("with", {})
    ]
    assert used == ["${{ matrix.python-version }}", supported[0], supported[0]]
    assert re.search(rf"^FROM python:{supported[0]}-slim$", read("Dockerfile"), re.MULTILINE)


def test_every_page_of_docs_is_in_the_site_s_navigation_and_on_its_first_page() -> None:
    pages = {path.name for path in (PROJECT / "docs").glob("*.md")} - {"index.md"}
    assert set(re.findall(r": ([\w.]+\.md)$", read("mkdocs.yml"), re.MULTILINE)) == pages | {"index.md"}
    assert set(re.findall(r"\]\(([\w.]+\.md)\)", read("docs/index.md"))) == pages


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in DOCS)])
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", read(page))
    missing = [link for link in links if not (PROJECT / page).parent.joinpath(link).exists()]
    assert missing == []


def test_the_recorded_search_found_every_altered_copy_of_the_demo() -> None:
    synthetic = load(PROJECT / "profiles/demo.yaml").dataset.synthetic
    assert synthetic
    assert read_json(PROJECT / "metrics/dataset.json")["copies"]["near"]["pairs"] == synthetic.altered


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where a parameter's values are, however deep: what holds each, and its key there."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part) if isinstance(part, dict) and part else [(value, key)]


def test_two_runs_are_never_merged_to_the_record_of_a_third(tmp_path: Path) -> None:
    """One branch changes the code of a stage, the other a parameter and the output: git could merge these lines."""
    between = "unchanged\n" * 20

    def git(*arguments: str, fails: bool = False) -> None:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        assert bool(subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode) == fails

    def commit(text: str) -> None:
        for name in ("dvc.lock", "metrics/inter/0.001/kappa.json", "plots/headline/roc.csv"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        git("add", "--all")
        git("commit", "--message", "A run")

    shutil.copy(PROJECT / ".gitattributes", tmp_path)
    git("init", "--initial-branch", "main")
    commit(f"code: old\n{between}outs: old\n")
    git("checkout", "-b", "other")
    commit(f"code: newer\n{between}outs: old\n")
    git("checkout", "main")
    commit(kept := f"code: old\n{between}outs: newer\n")
    git("merge", "other", fails=True)
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".lock", ".json", ".csv")]
    assert [path.read_text() for path in files] == [kept] * 3


@pytest.mark.parametrize("profile", ["demo", "thesis", "honest", "laptop"])
def test_the_key_of_dvcs_run_cache_has_every_value_that_a_stage_depends_on(profile: str) -> None:
    """DVC leaves keys such as `size` out of it, within parameters that hold others: it would give other outputs."""
    yaml = YAML(typ="safe", pure=True)
    params = load(PROJECT / f"profiles/{profile}.yaml")
    values = params.model_dump() | {
        "systems": {name: settings_of(params, name).model_dump() for name in params.systems}
    }
    names = {name for stage in yaml.load(read("dvc.yaml"))["stages"].values() for name in _of(stage).get("params", [])}
    tried = 0
    for name in sorted(names - {"systems.${key}"}) + [f"systems.{system}" for system in params.systems]:
        value = copy.deepcopy(reduce(lambda part, key: part[key], name.split("."), values))
        recorded = {"cmd": "wen", "params": {"params.yaml": {name: value}}}
        for holder, key in leaves(recorded["params"]):
            before, kept = _get_cache_hash(recorded, key=True), holder[key]
            holder[key] = "another"
            assert _get_cache_hash(recorded, key=True) != before, f"{name}: {key}"
            holder[key], tried = kept, tried + 1
    assert tried > 80


def _of(stage: dict[str, Any]) -> dict[str, Any]:
    """What a stage is, or each of several that are made from one."""
    found: dict[str, Any] = stage.get("do", stage)
    return found
