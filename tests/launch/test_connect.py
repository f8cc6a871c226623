"""Who can reach the Ray that a run starts, and how a cluster is joined."""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PROJECT

from wen.errors import WenError
from wen.launch import connect


@pytest.mark.parametrize(
    ("message", "tries"),
    [("Starting Ray client server failed", 4), ("line 396, in start_specific_server", 4), ("no answer", 1)],
)
def test_a_head_that_fails_to_start_its_server_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, message: str, tries: int
) -> None:
    asked: list[str] = []

    def init(address: str, **_: Any) -> None:
        asked.append(address)
        raise ConnectionError(message)

    monkeypatch.setattr(connect, "import_ray", lambda address: SimpleNamespace(init=init))
    with pytest.raises(WenError, match=message), connect.connected("ray://head:10001"):
        pass
    assert asked == tries * ["ray://head:10001"]


LOCAL = """
import json, os, pathlib, sys
import psutil
from wen.launch.connect import connected

with connected(None, 1, 100 * 2**20) as ray:
    answer = ray.get(ray.remote(lambda: 6 * 7).options(num_cpus=1).remote())
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    token = os.environ["RAY_AUTH_TOKEN"]
    folder = pathlib.Path(ray._private.worker._global_node.get_session_dir_path()).parent.parent
    files = [path for root in (folder, pathlib.Path.home()) for path in root.rglob("*") if path.is_file()]
    print(json.dumps({
        "answer": answer,
        "mode": os.environ["RAY_AUTH_MODE"],
        "token": token,
        "listens": [connection.laddr.ip for process in processes for connection in process.net_connections("inet")
                    if connection.status == psutil.CONN_LISTEN],
        "commands": [process.cmdline() for process in processes],
        "folder": str(folder),
        "access": oct(folder.stat().st_mode & 0o777),
        "files": len(files),
        "hold": [str(path) for path in files if token.encode() in path.read_bytes()],
    }))
"""


@pytest.fixture(scope="module", params=["", "disabled"], ids=["as it comes", "where the user switched tokens off"])
def local(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a Ray of this machine alone is, seen from within."""
    home = tmp_path_factory.mktemp("home")
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(home),
        "PYTHONPATH": str(PROJECT / "src"),
    }
    env |= {"RAY_AUTH_MODE": request.param} if request.param else {}
    done = subprocess.run([sys.executable, "-c", LOCAL], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"home": home}


def test_a_run_on_this_machine_listens_on_loopback_alone(local: dict[str, Any]) -> None:
    assert local["answer"] == 42
    assert len(local["listens"]) >= 4
    assert {ip.removeprefix("::ffff:") for ip in local["listens"]} == {"127.0.0.1"}


def test_the_token_is_in_no_file_and_no_command_and_only_its_owner_reads_its_files(local: dict[str, Any]) -> None:
    assert local["mode"] == "token"
    assert len(local["token"]) == 64
    assert not any(local["token"] in word for command in local["commands"] for word in command)
    assert local["files"] > 5
    assert local["hold"] == []
    assert local["access"] == "0o700"
    assert not (local["home"] / ".ray").exists()
    assert not Path(local["folder"]).exists()


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o640, True), (0o644, True)])
def test_a_token_file_that_others_can_read_gives_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, warns: bool
) -> None:
    token = tmp_path / "token"
    token.write_text("a" * 64)
    token.chmod(mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setattr(connect, "import_ray", lambda address: SimpleNamespace(init=print, shutdown=print))
    with contextlib.suppress(TypeError), connect.connected("auto"):
        pass
    assert (f"`chmod 600 {token}`" in capsys.readouterr().err) == warns


def recipes() -> Iterator[str]:
    for path in (PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")):
        yield from re.findall(r"```\w*\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def test_no_recipe_starts_a_head_without_a_token() -> None:
    heads = [recipe for recipe in recipes() if re.search(r"ray start.*--head|ray up", recipe)]
    assert len(heads) >= 2
    for recipe in heads:
        before = re.split(r"ray start|ray up", recipe)[0]
        assert "export RAY_AUTH_MODE=token" in before
        assert "RAY_AUTH_TOKEN=" in before or "umask 077; ray get-auth-token --generate" in before
