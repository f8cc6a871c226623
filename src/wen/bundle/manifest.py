"""classifier.json: the content of a bundle, and the hashes of its files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wen.errors import WenError
from wen.files import digest, sha256, write_json

FORMAT = "wen bundle"
VERSION = 2
MANIFEST = "classifier.json"
WEIGHTS = "weights.safetensors"
OPENVINO = "classifier.xml"
ONNX = "classifier.onnx"
CARD = "README.md"
HASHED = (WEIGHTS, OPENVINO, ONNX)
"""Files that must be as they were written. The card may be edited; its hash keeps an export from replacing it then."""


def write(content: dict[str, Any], folder: Path, hashed: Sequence[str] = HASHED) -> None:
    """Write classifier.json with the hashes of the other files and of its own content."""
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": digest(folder / name)} for name in hashed}
    described = {"format": FORMAT, "version": VERSION, **content, "files": files}
    write_json(folder / MANIFEST, {**described, "sha256": _of_values(described)})


def read(folder: Path) -> dict[str, Any]:
    """Read classifier.json and check the files of the bundle.

    Raises
    ------
    WenError
        If the folder is not a bundle, or a bundle of another version; if a file is missing or has changed.
    """
    content = _read(folder)
    if content.get("version") != VERSION:
        raise WenError(
            f"{folder}: a bundle of version {content.get('version')}, but this wen reads version {VERSION}; export "
            "it again with this release, or use the release that wrote it"
        )
    if content.pop("sha256", None) != _of_values(content):
        raise WenError(f"{folder / MANIFEST}: damaged (its hash differs); copy the bundle again, or export it again")
    for name, expected in content["files"].items():
        path = folder / name
        if not path.is_file():
            raise WenError(f"{path}: missing; copy the bundle again, or export it again")
        if path.stat().st_size != expected["bytes"] or digest(path) != expected["sha256"]:
            raise WenError(f"{path}: damaged (its hash differs); copy the bundle again, or export it again")
    return content


def is_bundle(folder: Path) -> bool:
    """Return whether a folder is empty or contains a bundle, of any version and state, and nothing else."""
    names = {path.name for path in folder.iterdir()}
    return not names or (MANIFEST in names and names <= {MANIFEST, CARD, *HASHED})


def has_edited_card(folder: Path) -> bool:
    """Return whether the model card in a folder differs from the exported one, whose hash is in classifier.json."""
    path = folder / CARD
    try:
        exported = _read(folder).get("card")
    except WenError:  # a new export repairs the manifest
        return False
    return exported is not None and path.is_file() and digest(path) != exported


def _read(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if folder.is_file():
        raise WenError(f"{folder}: a file; name the folder of the bundle, after unpacking it if it is an archive")
    if not folder.is_dir():
        raise WenError(f"{folder}: no such folder; write a bundle with `wen export {folder}` in a study")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WenError(
            f"{folder}: not a bundle, because it has no {MANIFEST}; write one with `wen export` in a study"
        ) from None
    except (ValueError, RecursionError):
        raise WenError(f"{path}: damaged (not JSON); copy the bundle again, or export it again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise WenError(f"{path}: not the manifest of a bundle; write a bundle with `wen export` in a study")
    return content


def _of_values(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest's values, which does not depend on the layout of the file."""
    return sha256(json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode())
