"""dvc.lock: what DVC recorded of each stage's last run, and what can be wrong with that file."""

import itertools
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wen.errors import WenError

CONFLICT = re.compile(r"^(<<<<<<<|\|\|\|\|\|\|\||=======|>>>>>>>)( |$)", re.MULTILINE)


class Item(BaseModel):
    """A dependency or an output: its path, and its MD5, which ends with ``.dir`` for a folder."""

    model_config = ConfigDict(strict=True)
    path: str
    hash: str = "md5"
    md5: Annotated[str, Field(min_length=3)] | Annotated[int, Field(ge=100)] | None = None  # as DVC takes them
    size: int = 0
    nfiles: int = 0
    isexec: bool = False


class Stage(BaseModel):
    """The record of a stage: what it read, with the parameters in params.yaml, and what it made of that."""

    model_config = ConfigDict(strict=True)
    cmd: str | list[str]
    deps: list[Item] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[Item] = []


class Lock(BaseModel):
    """The file."""

    model_config = ConfigDict(strict=True)
    schema_: Literal["2.0"] = Field(alias="schema")
    stages: dict[str, Stage] = {}


def stages(path: Path) -> dict[str, Stage]:
    """Read each stage's record by the stage's name.

    Raises
    ------
    WenError
        If there is no such file, or it is not as DVC writes it; its text says what it is.
    """
    return _parsed(path, _text(path))


def set_aside_if_torn(path: Path) -> None:
    """Rename a dvc.lock that DVC was killed while writing, and would refuse; its run-cache has what that said.

    Torn is a file that `stages` refuses and that ends as DVC never ends one: it is empty, or ends with zeros, within a
    line, or with a key that lacks its value. It stays beside as dvc.lock.torn.

    Raises
    ------
    WenError
        If the file is refused and not torn: it has merge-conflict markers, or a person or another program wrote it.
    """
    if not path.exists() and not path.is_symlink():
        return
    text = _text(path)
    try:
        _parsed(path, text)
    except WenError:
        if text.endswith("\n") and text.strip() and not text.rstrip().endswith(":"):
            raise
        beside = itertools.chain(["torn"], (f"torn-{number}" for number in itertools.count(2)))
        aside = next(place for place in (path.with_name(f"{path.name}.{end}") for end in beside) if not place.exists())
        path.rename(aside)
        print(
            f"{path.name} was incomplete and will be written again; DVC's cache still has all finished outputs. The "
            f"old file is kept as {aside.name}",
            file=sys.stderr,
        )


def _text(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        raise WenError(f"{path}: a broken link to {path.readlink()}; put the file there or remove the link")
    if not path.exists():
        raise WenError(f"{path}: not found, so the run that produced the models is unknown; run `dvc repro`")
    if not path.is_file():
        raise WenError(f"{path}: not a file; move it away")
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise WenError(f"{path}: UTF-16, as some editors save it; save it as UTF-8, or {_again(path)}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WenError(f"{path}: not UTF-8 ({error}); {_again(path)}") from None
    if found := CONFLICT.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise WenError(
            f"{path}:{line}: merge-conflict markers. Take one side with `git checkout --ours {path.name}` or "
            "`--theirs` and run again; the outputs of both sides are in DVC's cache"
        )
    return text


def _parsed(path: Path, text: str) -> dict[str, Stage]:
    try:
        return Lock.model_validate(YAML(typ="safe").load(text)).stages
    except YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f":{place.line + 1}" if place else ""
        raise WenError(f"{path}{where}: not valid YAML; {_again(path)}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise WenError(f"{path}: {key}: {first['msg']}, so DVC did not write it; {_again(path)}") from None


def _again(path: Path) -> str:
    return f"correct it or restore it from git: `git checkout HEAD -- {path.name}`"
