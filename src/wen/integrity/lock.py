"""Read dvc.lock, DVC's record of each stage's last run, and explain what is wrong with a damaged one."""

import itertools
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wen.errors import WenError

CONFLICT = re.compile(r"^(<<<<<<<|\|\|\|\|\|\|\||=======|>>>>>>>)( |$)", re.MULTILINE)


class Item(BaseModel):
    """A dependency or an output: its path and its MD5, which ends in ``.dir`` for a folder."""

    model_config = ConfigDict(strict=True)
    path: str
    hash: str = "md5"
    md5: Annotated[str, Field(min_length=3)] | Annotated[int, Field(ge=100)] | None = None  # DVC accepts both
    size: int = 0
    nfiles: int = 0
    isexec: bool = False


class Stage(BaseModel):
    """Record of a stage: its command, dependencies, parameters of params.yaml and outputs."""

    model_config = ConfigDict(strict=True)
    cmd: str | list[str]
    deps: list[Item] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[Item] = []


class Lock(BaseModel):
    """Content of dvc.lock."""

    model_config = ConfigDict(strict=True)
    schema_: Literal["2.0"] = Field(alias="schema")
    stages: dict[str, Stage] = {}


def stages(path: Path) -> dict[str, Stage]:
    """Read the records of all stages, by name.

    Raises
    ------
    WenError
        If the file is missing, or not as DVC writes it. The message says what is wrong.
    """
    return parsed(path, _text(path))


def set_aside_if_torn(path: Path) -> None:
    """Rename a dvc.lock that is incomplete because DVC was killed while writing it.

    DVC would reject such a file, but its run-cache holds the same records. A file counts as incomplete if `stages`
    rejects it and it is empty, or ends in zeros, in the middle of a line or with a key without a value. It is renamed
    to dvc.lock.torn.

    Raises
    ------
    WenError
        If the file is invalid but complete: it has merge-conflict markers, or was not written by DVC.
    """
    if not path.exists() and not path.is_symlink():
        return
    text = _text(path)
    try:
        parsed(path, text)
    except WenError:
        if text.endswith("\n") and text.strip() and not text.rstrip().endswith(":"):
            raise
        suffixes = itertools.chain(["torn"], (f"torn-{number}" for number in itertools.count(2)))
        candidates = (path.with_name(f"{path.name}.{suffix}") for suffix in suffixes)
        new_path = next(candidate for candidate in candidates if not candidate.exists())
        path.rename(new_path)
        print(
            f"{path.name} was incomplete and will be written again; DVC's cache still has all finished outputs. The "
            f"old file is kept as {new_path.name}",
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
        raise WenError(f"{path}: UTF-16, as some editors save it; save it as UTF-8, or {_remedy(path)}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WenError(f"{path}: not UTF-8 ({error}); {_remedy(path)}") from None
    if found := CONFLICT.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise WenError(
            f"{path}:{line}: merge-conflict markers. Take one side with `git checkout --ours {path.name}` or "
            "`--theirs` and run again; what either side ran comes from DVC's cache, or from a remote with `dvc repro "
            "--pull`"
        )
    return text


@lru_cache(maxsize=1)  # the check before every `dvc repro` reads it several times, for a tenth of a second each
def parsed(path: Path, text: str) -> dict[str, Stage]:
    """Read the records in the text of a dvc.lock; ``path`` appears in the messages of `WenError`."""
    try:
        return Lock.model_validate(YAML(typ="safe").load(text)).stages
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise WenError(f"{path}{where}: not valid YAML; {_remedy(path)}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise WenError(f"{path}: {key}: {first['msg']}, so DVC did not write it; {_remedy(path)}") from None
    except Exception as error:  # ruamel raises many types if a value contradicts its tag
        raise WenError(f"{path}: not valid YAML ({type(error).__name__}); {_remedy(path)}") from None


def _remedy(path: Path) -> str:
    return f"correct it or restore it from git: `git checkout HEAD -- {path.name}`"
