"""The page of `wen serve`: its answers and refusals, and that no data leave the computer or stay on it."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import numpy as np
import pytest
import uvicorn
from conftest import PROJECT
from PIL import Image
from ruamel.yaml import YAML
from starlette.testclient import TestClient

from wen import subjects
from wen.data.images import BadImage, decode
from wen.data.outliers import CHANNELS, FLOORS, look, reasons
from wen.errors import WenError
from wen.members.apply import Applied, Preparation, classify
from wen.serve import app, html, parts, run

PORT = 8017
ORIGIN = f"http://127.0.0.1:{PORT}"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOW = Preparation(crop=48, size=32, batch=4, usual={name: [1.0, 1e6] for name in FLOORS})


def brightness(images: np.ndarray) -> np.ndarray:
    """Two members: an image's share of red, and its root."""
    red = images[..., 0].mean(axis=(1, 2)) / 255
    return np.stack([red, np.sqrt(red)], axis=1)


def classifier(synthetic: bool = False) -> Applied:
    return Applied(
        about={"classifier": "inter 0.001 kappa", "study": "wen-1"}, members=["a", "b"], weight=np.array([0.5, 0.5]),
        temperature=np.ones(2), classes=("HEM", "ALL"), threshold=0.5, seed=1,
        answers=partial(classify, predictor=brightness, how=HOW), how=HOW, synthetic=synthetic,
        maps=lambda image: np.array([[1.0, -1.0]]),  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def client() -> TestClient:
    return TestClient(app.page(classifier(), PORT), base_url=ORIGIN, headers={"origin": ORIGIN})


def image(red: int, kind: str = "png", size: tuple[int, int] = (48, 48)) -> bytes:
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[: size[0] // 2], pixels[..., 0] = 90, red
    data = BytesIO()
    Image.fromarray(pixels).save(data, kind)
    return data.getvalue()


def framed(*contents: bytes) -> bytes:
    return json.dumps([len(content) for content in contents]).encode() + b"\n" + b"".join(contents)


def rows(*probabilities: float) -> bytes:
    cells = [
        {"file": f"cells/{k}.bmp", "probability": value, "spread": 0.1, "warning": "black" * (k == 0)}
        for k, value in enumerate(probabilities)
    ]
    return json.dumps(cells).encode()


def test_each_image_of_a_batch_gets_its_row_and_a_bad_one_a_reason(client: TestClient) -> None:
    red, truncated, text = client.post("/cells", content=framed(image(200), image(20, "bmp")[:900], b"hello")).json()
    expected = brightness(np.full((1, 1, 1, 3), 200))[0]
    assert red["probability"] == pytest.approx(expected.mean())
    assert red["members"] == pytest.approx(expected)
    assert red["spread"] == pytest.approx(expected.max() - expected.min())
    assert red["called"] == "ALL"
    assert "truncated" in truncated["problem"]
    assert text["problem"] == "not a BMP, PNG, TIFF or JPEG image"


def test_an_image_without_a_cell_is_answered_with_a_warning(client: TestClient) -> None:
    data = BytesIO()
    Image.new("RGB", (48, 48)).save(data, "png")
    (row,) = client.post("/cells", content=framed(data.getvalue())).json()
    assert (row["probability"], row["warning"]) == (0, "black")


def test_a_bomb_is_refused_by_its_header(client: TestClient) -> None:
    bomb = bytearray(image(200, "bmp"))
    bomb[18:26] = (100_000).to_bytes(4, "little") * 2
    (row,) = client.post("/cells", content=framed(bytes(bomb))).json()
    assert "more pixels than the image of a cell has" in row["problem"]


@pytest.mark.parametrize(
    ("content", "status", "sentence"),
    [
        (framed(*[b"x"] * 5), 413, "More images than the page takes at once"),
        (framed(b"x" * 101), 413, "Larger than 16 MB"),
        (framed(*[b"x" * 100] * 4), 413, "More than 64 MB in one request"),
        (b"[3]\nab", 400, "damaged"),
        (b"[-1]\n", 400, "damaged"),
        (b"[true]\na", 400, "damaged"),
        (b'{"a": 1}\n', 400, "damaged"),
        (b"", 400, "damaged"),
    ],
)
def test_too_large_and_damaged_requests_are_refused_in_one_sentence(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, content: bytes, status: int, sentence: str
) -> None:
    monkeypatch.setattr(app, "IMAGE", 100)
    monkeypatch.setattr(app, "REQUEST", 300)
    monkeypatch.setattr(parts, "HEADER", 40)
    monkeypatch.setattr(app.Served, "_text", lambda self, request: html.Text("en", most=5000, megabytes=16, total=64))
    answer = client.post("/cells", content=content)
    assert answer.status_code == status
    assert sentence in answer.json()["problem"]


def test_deeply_nested_sizes_are_refused_as_damaged(client: TestClient) -> None:
    answer = client.post("/cells", content=b"[" * 60_000 + b"\n")
    assert (answer.status_code, "damaged" in answer.json()["problem"]) == (400, True)


def test_a_body_of_unknown_length_is_read_only_up_to_the_limit(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "REQUEST", 1000)
    monkeypatch.setattr(parts, "HEADER", 0)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(50):
            sent += 1
            yield b"x" * 500

    assert client.post("/cells", content=endless()).status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": "127.0.0.1:1"},
        {"host": ""},
    ],
)
def test_a_request_under_another_host_name_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    for answer in (client.get("/", headers=headers), client.post("/cells", headers=headers, content=framed(image(9)))):
        assert answer.status_code == 403
        assert "only to its own address" in answer.text


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1", ""]
)
def test_another_site_cannot_post(client: TestClient, origin: str) -> None:
    for path in ("/cells", "/picture", "/people", "/people.csv", "/cells.csv"):
        answer = client.post(path, headers={"origin": origin}, content=framed(image(9)))
        assert (answer.status_code, "not from another site" in answer.text) == (403, True)


def test_localhost_is_the_page_s_own_address_too() -> None:
    origin = f"http://localhost:{PORT}"
    client = TestClient(app.page(classifier(), PORT), base_url=origin, headers={"origin": origin})
    assert client.post("/cells", content=framed(image(9))).status_code == 200


def test_the_page_loads_nothing_from_elsewhere_and_its_policy_forbids_it(client: TestClient) -> None:
    for path in ("/", "/?language=id", "/page.js", "/page.css"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "http:" not in answer.text
        assert "https:" not in answer.text
        assert 'src="//' not in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
    for path in ("/texts.yaml", "/app.py", "/../app.py", "/docs"):
        assert client.get(path).status_code == 404


def test_the_page_says_in_both_languages_what_it_must_not_be_used_for() -> None:
    client = TestClient(app.page(classifier(synthetic=True), PORT, "id"), base_url=ORIGIN)
    assert "Bukan untuk diagnosis" in client.get("/").text
    assert "sel sintetis" in client.get("/").text
    assert "Not for diagnosis" in client.get("/?language=en").text
    assert "synthetic cells" in client.get("/?language=en").text
    assert 'lang="id"' in client.get("/?language=xx").text


def test_every_text_is_in_both_languages_and_has_the_same_names_in_braces() -> None:
    texts = YAML(typ="safe").load(files("wen.serve").joinpath("texts.yaml").read_text(encoding="utf-8"))
    for key, of in texts.items():
        assert set(of) == set(html.LANGUAGES), key
        assert len({frozenset(part.split("}")[0] for part in text.split("{")[1:]) for text in of.values()}) == 1, key
    script = files("wen.serve").joinpath("page.js").read_text(encoding="utf-8")
    for key in texts:
        if key.startswith(html.OF_SCRIPT):
            name = key.removeprefix(html.OF_SCRIPT)
            assert f"texts.{name}" in script or f'count("{name}"' in script, key


@pytest.mark.parametrize("language", html.LANGUAGES)
def test_every_warning_is_shown_in_the_page_s_language(language: str) -> None:
    import re

    usual = {name: [100.0, 200.0] for name in ("width", "height", "red", "green", "blue")} | {"area": [0.2, 0.3]}
    cell = Image.new("RGB", (48, 48), (250, 250, 10))
    cell.paste((90, 90, 90), (0, 0, 20, 20))
    found = [*reasons(look(cell), usual), *reasons(look(Image.new("RGB", (9, 9))), usual),
             *reasons(look(Image.new("RGB", (9, 9), "red")), usual),
             *reasons(look(cell), {"width": [1, 99], "height": [1, 99], "area": [0, 1], "red": [0, 255],
                                   "green": [0, 255], "blue": [0, 255], "blue less red": [-9, 9]}),
             *reasons({"area": 1, "contrast": 9, "width": 9, "height": 9, "red": 9, "green": 9, "blue": 9},
                      {name: [0, 9] for name in ("width", "height", "area")} | {key: [10, 20] for key in CHANNELS}),
             ]  # fmt: skip
    assert len(found) == 9
    for warning in found:
        matching = [entry for entry in html.phrases(language) if re.search(entry[0], warning)]
        assert len(matching) == 1, warning


@pytest.mark.parametrize("form", ["CMYK", "I;16"])
def test_what_an_image_must_be_converted_to_is_shown_in_indonesian(form: str) -> None:
    import re

    content = BytesIO()
    Image.new(form, (9, 9)).save(content, "tiff")
    with pytest.raises(BadImage) as refused:
        decode(content.getvalue())
    assert sum(bool(re.search(found, str(refused.value))) for found, _ in html.phrases("id")) == 1


def test_people_are_those_of_wen_classify(client: TestClient) -> None:
    probabilities = [0.9, 0.2, 0.7]
    (row,) = client.post("/people", content=framed(rows(*probabilities), b"P 1")).json()
    expected = subjects.row("P 1", np.array(probabilities), 0.5, ("HEM", "ALL"), 1)
    assert row == expected | {"warnings": 1}


def test_people_are_read_from_a_table(client: TestClient) -> None:
    table = b"file,subject\n0.bmp,B\ncells/1.bmp,A\n2.bmp,B\n"
    found = client.post("/people", content=framed(rows(0.9, 0.2, 0.7), b"people.csv", table)).json()
    assert [(row["subject"], row["cells"]) for row in found] == [("B", 2), ("A", 1)]
    assert found[1]["low"] is None


def test_a_table_may_begin_its_paths_in_the_folder_that_was_dropped(client: TestClient) -> None:
    row = {"probability": 0.5, "spread": None, "warning": ""}
    cells = [{"file": f"lab/{place}/1.bmp"} | row for place in ("blast", "normal")]
    for prefix in ("", "lab/"):
        table = f"file,subject\n{prefix}blast/1.bmp,B\n{prefix}normal/1.bmp,A\n".encode()
        found = client.post("/people", content=framed(json.dumps(cells).encode(), b"people.csv", table)).json()
        assert [row["subject"] for row in found] == ["B", "A"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (b"file,subject\n0.bmp,B\n", "people.csv: no subject for cells/1.bmp; add the missing rows or subjects"),
        (b"a,b\n1,2\n", "people.csv: columns file and subject are needed; found a, b"),
        (b"", "people.csv: empty; expected a header and rows"),
    ],
)
def test_a_table_that_does_not_fit_is_named(client: TestClient, table: bytes, problem: str) -> None:
    answer = client.post("/people", content=framed(rows(0.9, 0.2), b"people.csv", table))
    assert (answer.status_code, answer.json()["problem"]) == (400, problem)


@pytest.mark.parametrize("content", [b"", b"[1]", b'[{"file": "a", "probability": 2, "spread": null, "warning": ""}]'])
def test_rows_that_the_page_cannot_have_sent_are_refused(client: TestClient, content: bytes) -> None:
    for path, body in (("/cells.csv", framed(content)), ("/people", framed(content, b"P"))):
        answer = client.post(path, content=body)
        assert (answer.status_code, "damaged" in answer.json()["problem"]) == (400, True)


def test_a_picture_is_what_the_network_is_given_and_the_map_lies_over_it(client: TestClient) -> None:
    import base64

    found = client.post("/picture", content=framed(image(200, "tiff", (60, 60)))).json()
    shown, with_map = (
        Image.open(BytesIO(base64.b64decode(found[key].removeprefix("data:image/png;base64,"))))
        for key in ("image", "map")
    )
    assert shown.size == with_map.size == (32, 32)
    assert np.abs(np.asarray(shown).astype(int) - np.asarray(with_map)).max() > 50
    bad = client.post("/picture", content=framed(b"hello"))
    assert (bad.status_code, bad.json()["problem"]) == (400, "not a BMP, PNG, TIFF or JPEG image")


def test_nothing_is_kept_on_disk_or_in_memory(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile
    import tracemalloc

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    large = framed(*[image(200, "bmp", (1200, 1200))] * 3)
    client.post("/cells", content=large)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(3):
        assert client.post("/cells", content=large).status_code == 200
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < len(large) / 4
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_gives_a_sentence_before_anything_is_loaded() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(WenError, match=f"--port {port}: another program uses it; choose another port, or 0"):
            run._listening(port)


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(WenError, match=r"pip install -c constraints.txt -e '.\[serve\]'"):
        run.run(classifier, run.Options(0, None))


def test_a_folder_that_is_no_bundle_and_a_place_without_a_study_give_a_sentence(tmp_path: Path) -> None:
    for arguments, problem in ((["nowhere"], "nowhere: no such folder"), ([], "params.yaml: not found here")):
        done = subprocess.run(
            [sys.executable, "-m", "wen", "serve", *arguments, "--port", "0"], cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert done.stderr.startswith(f"error: {problem}")
    with pytest.raises(WenError, match="a bundle holds one classifier"):
        run.of_bundle(tmp_path, "single 0.001-3", "auto")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_quietly(number: signal.Signals) -> None:
    script = "import test_serve; from wen.serve import run; run.run(test_serve.classifier, run.Options(0, None))"
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT / "tests"), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("http://127.0.0.1:")
    assert "inter 0.001 kappa of study wen-1" in line
    address = line.split()[0]
    with httpx2.Client(base_url=address, headers={"origin": address}) as client:
        assert client.post("/cells", content=framed(image(200))).status_code == 200  # by a thread, which ends, too
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.fixture
def address() -> Iterator[str]:
    """The page, served as `wen serve` does, to a browser."""
    with run._listening(0) as listening:
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app.page(classifier(), port), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(timeout=20)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_in_chromium_images_that_are_chosen_become_rows_and_a_person(address: str, tmp_path: Path) -> None:
    names = [*(f"{k}.bmp" for k in range(9)), "notes.txt", "text.png"]
    for k, name in enumerate(names):
        (tmp_path / name).write_bytes(image(20 * k + 20, "bmp") if name.endswith("bmp") else b"hello")
    found = asyncio.run(_chosen(address + "/?language=id", [str(tmp_path / name) for name in names], tmp_path))
    assert found["problems"] == []
    assert found["status"].startswith("Citra diklasifikasi: 9, diprediksi ALL: ")
    assert "Tidak dapat diklasifikasi: 1." in found["status"]
    assert "File lain yang dilewati: 1." in found["status"]
    assert len(found["rows"]) == 10
    expected = brightness(np.full((1, 1, 1, 3), 20))[0].mean()
    assert f"{expected:.3f}".replace(".", ",") in found["rows"][1]
    assert "bukan citra BMP" in found["rows"][0]
    assert found["person"].startswith("P 1")
    assert found["can_download"] == [False, True]  # not while images are classified
    assert found["person_of_new_images"] == ""  # they may be another person's
    assert found["pictures"] >= 2
    assert found["width"] <= 390


async def _chosen(address: str, chosen: list[str], folder: Path) -> dict[str, Any]:
    """Give the page files and a person's name in Chromium at 390 px, and read what it shows."""
    browser = subprocess.Popen(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0",
         "--disable-background-networking", "--window-size=390,3000", f"--user-data-dir={folder / 'browser'}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _debugging_port(folder / "browser/DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?{address}") as answer:
                target = (await answer.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(target, max_msg_size=0) as connection:
                return await _look(_Tab(connection), chosen)
    finally:
        browser.kill()
        browser.wait()


async def _debugging_port(path: Path) -> str:
    for _ in range(600):
        if path.is_file() and (text := path.read_text()):
            return text.splitlines()[0]
        await asyncio.sleep(0.1)
    raise TimeoutError("Chromium did not start")


async def _look(tab: "_Tab", chosen: list[str]) -> dict[str, Any]:
    for domain in ("Runtime", "Log", "DOM"):
        await tab.ask(f"{domain}.enable")
    size = {"width": 390, "height": 3000, "deviceScaleFactor": 1, "mobile": False}
    await tab.ask("Emulation.setDeviceMetricsOverride", **size)
    await tab.until("document.readyState === 'complete' && document.getElementById('person') !== null")
    await tab.value("document.getElementById('person').value = 'P 1'")
    root = (await tab.ask("DOM.getDocument"))["root"]["nodeId"]
    node = (await tab.ask("DOM.querySelector", nodeId=root, selector="#files"))["nodeId"]
    await tab.ask("DOM.setFileInputFiles", nodeId=node, files=chosen)
    await tab.until("!document.getElementById('people').hidden")
    await tab.until("document.querySelectorAll('.pictures img').length >= 2")
    texts = {
        "status": "document.getElementById('status').textContent",
        "rows": "[...document.querySelectorAll('#cells tbody tr')].map(row => row.textContent)",
        "person": "document.querySelector('#people tbody').textContent",
        "pictures": "document.querySelectorAll('.pictures img').length",
        "width": "document.documentElement.scrollWidth",
    }
    found = {name: await tab.value(text) for name, text in texts.items()} | {"problems": tab.problems}
    await tab.ask("DOM.setFileInputFiles", nodeId=node, files=chosen[:2])
    await tab.until(
        "document.querySelectorAll('#cells tbody tr').length === 2 && document.getElementById('work').hidden"
    )
    again = "take(cells.map(({ file, name }) => ({ file, name })))"
    found["can_download"] = [not await tab.value(f"{again}, document.getElementById('cells-csv').disabled")]
    await tab.until("document.getElementById('work').hidden")
    found["can_download"].append(not await tab.value("document.getElementById('cells-csv').disabled"))
    found["person_of_new_images"] = await tab.value("document.getElementById('person').value")
    return found


class _Tab:
    """A tab of Chromium, by its protocol for developers."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.connection, self.number = connection, 0
        self.problems: list[str] = []
        """What the console got: errors, and breaches of the policy."""

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.number += 1
        await self.connection.send_json({"id": self.number, "method": method, "params": parameters})
        while True:
            message = await self.connection.receive_json(timeout=60)
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                found: dict[str, Any] = message["result"]
                return found
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(json.dumps(message["params"]))

    async def value(self, expression: str) -> Any:
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def until(self, condition: str) -> None:
        for _ in range(600):
            with suppress(RuntimeError):  # while the tab is on its way to the page, it evaluates nothing
                if await self.value(condition):
                    return
            await asyncio.sleep(0.1)
        raise TimeoutError(condition)
