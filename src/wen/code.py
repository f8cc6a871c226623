"""What each stage's code is, without its comments: what dvc.yaml makes the stages depend on.

Were a stage to depend on its source files, a comment would retrain fifteen models; were they listed by hand, one
would be forgotten. This finds all that a command imports.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from wen.files import whole
from wen.params import Params
from wen.paths import Paths
from wen.times import STAGES

SOURCE = Path(__file__).parent.parent
NEUTRAL = {
    "wen/code.py",
    "wen/errors.py",
    "wen/files.py",
    "wen/params.py",
    "wen/paths.py",
    "wen/network/progress.py",
}
"""What no number comes from: messages, where and how a file is written, the check of params.yaml."""


def run(params: Params, paths: Paths) -> None:
    """Write data/code/STAGE.txt for each stage: the SHA-256 and the name of every file that it runs.

    Comments, docstrings and blank lines do not count, nor do the files in `NEUTRAL`.
    """
    with whole(paths.code) as partial:
        partial.mkdir()
        for stage in STAGES:
            lines = [f"{digest(file)}  {file.relative_to(SOURCE).as_posix()}\n" for file in files(stage)]
            (partial / f"{stage}.txt").write_text("".join(lines), encoding="utf-8", newline="\n")


def files(stage: str) -> list[Path]:
    """All modules that a stage's command imports, and what else lies in their packages: templates, texts."""
    commands = ast.parse((SOURCE / "wen/cli.py").read_text(encoding="utf-8")).body
    name = stage.replace("-", "_")
    command = next(own for own in commands if isinstance(own, ast.FunctionDef) and own.name == name)
    found: set[Path] = set()
    left = list(_imported(command))
    while left:
        file = left.pop()
        if file not in found and file.relative_to(SOURCE).as_posix() not in NEUTRAL:
            found.add(file)
            left += _imported(ast.parse(file.read_text(encoding="utf-8")))
    packages = {file.parent for file in found} - {SOURCE / "wen"}
    beside = {own for package in packages for own in package.rglob("*") if own.is_file()}
    return sorted(found | {own for own in beside if own.suffix not in (".py", ".pyc")})


def digest(file: Path) -> str:
    """SHA-256 of a file; of a Python file, without comments, docstrings and blank lines."""
    content = file.read_bytes()
    if file.suffix == ".py":
        content = _bare(content.decode("utf-8")).encode()
    return hashlib.sha256(content).hexdigest()


def _imported(tree: ast.AST) -> Iterator[Path]:
    """The project's files that code imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                yield from _file(f"{node.module}.{name.name}") or _file(node.module)
        elif isinstance(node, ast.Import):
            for name in node.names:
                yield from _file(name.name)


def _file(module: str) -> list[Path]:
    path = SOURCE / (module.replace(".", "/") + ".py")
    return [path] if path.is_file() else []


def _bare(text: str) -> str:
    """Take comments, strings that stand alone, and blank lines away.

    Not ``ast.unparse``: its text differs between versions of Python.
    """
    lines = text.splitlines()
    for row, column in _comments(text):
        lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.end_lineno:
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _comments(text: str) -> Iterable[tuple[int, int]]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.start for token in tokens if token.type == tokenize.COMMENT]
