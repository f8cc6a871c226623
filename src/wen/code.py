"""Stage ``code``: what each stage executes, so that a change of it, and of nothing else, reruns the stage.

Were a stage to depend on its source files, a comment would retrain fifteen models; were they listed by hand, one
would be forgotten. This follows the imports of a stage's command, and hashes what they lead to without what no number
comes from: comments, docstrings, line breaks and messages.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from wen.config.paths import Paths
from wen.config.stages import STAGES
from wen.errors import WenError
from wen.files import atomic

SOURCE = Path(__file__).parents[1]
START = SOURCE / "wen/__main__.py"
COMMANDS = SOURCE / "wen/cli.py"
PUBLISHED = "wen/systems/published/*[!_].py"
"""The published systems, a module each, which are imported by name."""
NAMES = SOURCE / "wen/config/stages.py"
"""Only names the stages, and while that is so counts for none: another name is to rerun no stage that there is."""
DATA = (".csv", ".yaml", ".html", ".xml", ".css", ".js", ".md")
"""Endings of the package's files that are no modules; editors and systems leave others beside them."""
LIBRARIES = {
    "numpy": "numpy", "openvino": "openvino", "optuna": "optuna", "pandas": "pandas", "PIL": "pillow",
    "safetensors": "safetensors", "scipy": "scipy", "skops": "skops", "sklearn": "scikit-learn",
    "statsmodels": "statsmodels", "timm": "timm", "torch": "torch", "xgboost": "xgboost",
}  # fmt: skip
"""Those that numbers come from: the module, and what installs it."""
SEAL = "seal"
SYSTEM = "system"
TALK = {"exit", "print", "warn", "track", "epoch_bar", "TextColumn"}
"""Functions whose text is read by people alone."""


def run(paths: Paths) -> None:
    """Write data/code/STAGE.txt for each stage: the code that it executes and the libraries it computes with.

    A line for each file: the SHA-256 of what it says (see `digest`) and its name; a line for each library: its
    release. Prints which stages changed. data/code/seal.txt tells in a moment that all this is still so.
    """
    if _sealed(paths):
        print("code and libraries: up to date")
        return
    texts = {stage: listing(stage) for stage in _listed()}
    changed = [stage for stage, text in texts.items() if _recorded(stage, paths) != text]
    with atomic(paths.code) as partial:
        partial.mkdir()
        (partial / SYSTEM).mkdir()
        for name, text in (texts | {SEAL: _seal(list(texts.values()))}).items():
            (partial / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")
    print(f"code and libraries: changed for {', '.join(changed)}" if changed else "code and libraries: up to date")


def _listed() -> list[str]:
    """What has a listing: each stage, but of the stage ``system`` each system has one, such as system/baby2022."""
    return [stage for stage in STAGES if stage != SYSTEM] + [f"{SYSTEM}/{file.stem}" for file in _published()]


def _published() -> list[Path]:
    return sorted(SOURCE.glob(PUBLISHED))


def check(stage: str, paths: Paths) -> None:
    """Refuse to run a stage under DVC with other code or libraries than DVC takes it to depend on.

    Of the stage ``system``, ``stage`` names the system, too, as in system/baby2022.

    Raises
    ------
    WenError
        If data/code is of other code or other releases; the text names them.
    """
    if _sealed(paths):
        return
    lines = set(_recorded(stage, paths).splitlines()) ^ set(listing(stage).splitlines())
    differing = sorted({line.split("  ")[-1] for line in lines})
    if differing:
        names = ", ".join(differing[:5]) + (f" and {len(differing) - 5} more" if len(differing) > 5 else "")
        raise WenError(
            f"{paths.code_of(stage)}: lists other code or libraries than this stage would run with ({names}); run "
            "`dvc repro`, which updates the list"
        )


def _sealed(paths: Paths) -> bool:
    """Whether data/code is of the files and the releases that are here."""
    return _recorded(SEAL, paths) == _seal([_recorded(stage, paths) for stage in _listed()])


def _seal(texts: list[str]) -> str:
    """A hash of all listings, of every byte of the package, and of the libraries' releases."""
    content = hashlib.sha256("".join(texts).encode())
    for file in sorted(path for path in (SOURCE / "wen").rglob("*") if path.suffix in (".py", *DATA)):
        content.update(file.relative_to(SOURCE).as_posix().encode() + file.read_bytes().replace(b"\r\n", b"\n"))
    content.update(" ".join(_release(library) for library in LIBRARIES.values()).encode())
    return content.hexdigest() + "\n"


def fingerprint() -> str:
    """A hash of every byte of the package, and of the releases of the libraries that numbers come from."""
    return _seal([]).strip()


def _recorded(name: str, paths: Paths) -> str:
    path = paths.code_of(name)
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def current(stage: str, paths: Paths) -> str:
    """What `listing` gives, from data/code where that is sealed: to read all the code takes a third of a second."""
    return _recorded(stage, paths) if _sealed(paths) else listing(stage)


def listing(stage: str) -> str:
    """The content of data/code/STAGE.txt, or data/code/system/NAME.txt of one published system."""
    found = files(stage)
    lines = [f"{digest(file, stage)}  {file.relative_to(SOURCE).as_posix()}" for file in found]
    names = {name.split(".")[0] for file in found if file.suffix == ".py" for name in _imports(file, stage)}
    lines += [f"{_release(LIBRARIES[name])}  {LIBRARIES[name]}" for name in sorted(names & set(LIBRARIES))]
    return "".join(f"{line}\n" for line in lines)


def files(stage: str) -> list[Path]:
    """All files of the package that a stage's command executes or reads."""
    found: set[Path] = set()
    left = [START, SOURCE / "wen/__init__.py", *_by_name(stage)]
    while left:
        file = left.pop()
        if file not in found and not _only_names(file):
            found.add(file)
            left += [path for name in _imports(file, stage) for path in _modules(name)]
    packages = {file.parent for file in found} - {SOURCE / "wen"}
    beside = (path for package in packages for path in package.rglob("*") if path.suffix in DATA and path.is_file())
    return sorted(found.union(path for path in beside if not path.name.startswith((".", "#", "~"))))


def _only_names(file: Path) -> bool:
    """Whether it is `NAMES`, with nothing in it but names that are given constants and tuples of them."""
    if file != NAMES:
        return False
    statements = ast.parse(file.read_bytes()).body
    constants = (ast.Name, ast.Store, ast.Load, ast.Tuple, ast.Constant, ast.Assign, ast.Expr)
    computes = (node for statement in statements for node in ast.walk(statement) if not isinstance(node, constants))
    return all(isinstance(one, ast.Assign | ast.Expr) for one in statements) and not any(computes)


def _by_name(stage: str) -> list[Path]:
    """The module that the stage of a published system imports by name."""
    return [file for file in _published() if file.stem == stage.partition("/")[2]]


def digest(file: Path, stage: str) -> str:
    """SHA-256 of what a file says.

    Of a Python file, without comments, docstrings, line breaks and messages: strings that are raised, printed, passed
    as ``help`` or to one of `TALK`. Of `COMMANDS`, without the commands of other stages. Line ends do not matter.
    """
    text = _text(file, stage)
    return hashlib.sha256((bare(text) if file.suffix == ".py" else text).encode()).hexdigest()


def _text(file: Path, stage: str) -> str:
    """What a file holds, as far as it concerns a stage."""
    text = file.read_bytes().replace(b"\r\n", b"\n").decode("utf-8")
    return _without_other_commands(text, stage) if file == COMMANDS else text


@cache
def _without_other_commands(text: str, stage: str) -> str:
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name != stage.split("/")[0].replace("-", "_"):
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            if any(decorator.startswith("app.command") for decorator in decorators):
                begin, end = node.decorator_list[0].lineno, node.end_lineno or node.lineno
                lines[begin - 1 : end] = ["\n"] * (end - begin + 1)
    return "".join(lines)


def _imports(file: Path, stage: str) -> frozenset[str]:
    """The modules that a file imports, wherever in it; ``from a import b`` may import a.b, too."""
    package = file.relative_to(SOURCE).parent.parts
    return _imported(_text(file, stage), package) if file.suffix == ".py" else frozenset()


@cache
def _imported(text: str, package: tuple[str, ...]) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return frozenset(names)


def _modules(name: str) -> Iterator[Path]:
    """The project's files that importing a module executes: it, and the packages that it is in."""
    parts = name.split(".")
    for k in range(1, len(parts) + 1) if parts[0] == "wen" else ():
        place = SOURCE.joinpath(*parts[:k])
        yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


@cache
def _release(library: str) -> str:
    """The installed release of a library; builds of one release, such as +cpu, count as equal."""
    try:
        return version(library).split("+")[0]
    except PackageNotFoundError:
        return "not installed"


@cache
def bare(text: str) -> str:
    """Write Python code as its tokens, without what no number comes from; see `digest`.

    Not ``ast.unparse``, whose text differs between versions of Python.
    """
    spans = _spans(text)
    tokens: list[str] = []
    end = (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.start < end or token.type in (tokenize.COMMENT, tokenize.NL):
            continue
        if token.start in spans:
            end, replacement = spans[token.start]
            tokens += [replacement] if replacement else []
        elif token.type == tokenize.INDENT:
            tokens.append("{")
        elif token.type == tokenize.DEDENT:
            tokens.append("}")
        elif token.type == tokenize.NEWLINE:
            tokens += ["\n"] if tokens and tokens[-1] not in ("\n", "{", "}") else []
        else:
            tokens.append(token.string)
    return " ".join(tokens)


Position = tuple[int, int]


def _spans(text: str) -> dict[Position, tuple[Position, str]]:
    """Where strings begin that are not taken as they are, where they end, and what stands for them.

    A string that stands alone is left out, and of a message it counts only whether it is empty. An f-string is taken
    as it is written, since its tokens differ between versions of Python.
    """
    lines = [line.encode() for line in io.StringIO(text)]

    def place(row: int, column: int) -> Position:
        return row, len(lines[row - 1][:column].decode())

    def written(node: ast.expr) -> str:
        """As `ast.get_source_segment`, which splits the text into lines anew for each node."""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        found = lines[first : last + 1]
        found[-1] = found[-1][: node.end_col_offset]
        found[0] = found[0][node.col_offset :]
        return b"".join(found).decode()

    spans: dict[Position, tuple[Position, str]] = {}
    tree = ast.parse(text)
    every = list(ast.walk(tree))
    for strings, kind in ((_strings(tree), "as it is"), (_messages(every), "message"), (_alone(every), "alone")):
        for node in strings:
            begin, end = place(node.lineno, node.col_offset), place(node.end_lineno or 0, node.end_col_offset or 0)
            message = '""' if _is_empty(node) else '"..."'
            spans[begin] = end, {"as it is": written(node), "message": message, "alone": ""}[kind]
    return spans


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _alone(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    """Strings that stand alone, such as docstrings."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def _messages(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    """Strings that people alone read."""
    for node in nodes:
        if isinstance(node, ast.Raise):
            yield from _strings(node, constants=True)
        elif isinstance(node, ast.Call) and _name(node.func) in TALK:
            yield from (string for string in _strings(node, constants=True) if _only_shows(string))
        elif (isinstance(node, ast.keyword) and node.arg == "help") or _is_message(node):
            yield from _strings(node, constants=True)


def _is_message(node: ast.AST) -> bool:
    """Whether it is a function or a name of type `wen.errors.Message`."""
    annotation = node.returns if isinstance(node, ast.FunctionDef) else getattr(node, "annotation", None)
    return isinstance(node, ast.FunctionDef | ast.AnnAssign) and _name(annotation) == "Message"


def _only_shows(string: ast.expr) -> bool:
    """Whether a string, if it is an f-string, holds but names and their parts, and calls nothing."""
    return not any(isinstance(node, ast.Call | ast.NamedExpr | ast.Await | ast.Yield) for node in ast.walk(string))


def _strings(tree: ast.AST, constants: bool = False) -> Iterator[ast.expr]:
    """F-strings, and if asked other strings; none that is within another."""
    constant = isinstance(tree, ast.Constant) and isinstance(tree.value, str)
    if isinstance(tree, ast.JoinedStr) or (constants and constant):
        yield cast(ast.expr, tree)
    else:
        for node in ast.iter_child_nodes(tree):
            yield from _strings(node, constants)


def _name(node: ast.AST | None) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")
