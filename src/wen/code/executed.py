"""Find the files of the package that a stage executes or reads, by following the imports of its command."""

import ast
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2]
START = SOURCE / "wen/__main__.py"
COMMANDS = SOURCE / "wen/cli.py"
PUBLISHED = "wen/systems/published/*[!_].py"
"""The package of the published systems, whose modules are imported by name."""
NAMES = SOURCE / "wen/config/stages.py"
"""The module with the names of the stages. It counts for no stage as long as it only contains names, so that a new
name reruns nothing."""
GUARD = "wen/integrity/edited.py"
"""The module that ends a stage with an error if its inputs changed. It changes no result, so it counts for no stage."""
DATA = (".csv", ".yaml", ".html", ".xml", ".css", ".js", ".md")
"""Extensions of the package's files other than modules; editors and systems leave files with others."""
LITTER = (".", "#", "~")
"""Beginnings of the names of files that editors and systems create."""


def files(stage: str) -> list[Path]:
    """Find all files of the package that a stage's command executes or reads."""
    modules = _modules()
    found: set[Path] = set()
    left = [START, SOURCE / "wen/__init__.py", *_by_name(stage)]
    while left:
        file = left.pop()
        if file not in found and file != SOURCE / GUARD and not _only_names(file):
            found.add(file)
            left += [modules[name] for name in imports(file, stage) & modules.keys()]
    packages = {file.parent for file in found} - {SOURCE / "wen"}
    beside = [path for path in package_files() if path.suffix in DATA and packages & {*path.parents}]
    return sorted(found.union(beside))


def _only_names(file: Path) -> bool:
    """Whether a module is `NAMES` and only assigns constants, and tuples of them, to names."""
    if file != NAMES:
        return False
    statements = ast.parse(file.read_bytes()).body
    constants = (ast.Name, ast.Store, ast.Load, ast.Tuple, ast.Constant, ast.Assign, ast.Expr)
    computes = (node for statement in statements for node in ast.walk(statement) if not isinstance(node, constants))
    return all(isinstance(one, ast.Assign | ast.Expr) for one in statements) and not any(computes)


def package_files() -> list[Path]:
    """List the files of the package, without those that editors and systems create."""
    found = (path for path in (SOURCE / "wen").rglob("*") if path.suffix in (".py", *DATA) and path.is_file())
    return sorted(path for path in found if not path.name.startswith(LITTER))


def _by_name(stage: str) -> list[Path]:
    """Return the module that the stage of a published system imports by name."""
    return [file for file in published() if file.stem == stage.partition("/")[2]]


def published() -> list[Path]:
    """List the modules of the published systems."""
    return [path for path in package_files() if path.match(PUBLISHED)]


def read(file: Path, stage: str) -> str:
    """Read the part of a file that concerns a stage: `COMMANDS` without the commands of other stages, others fully."""
    content = file.read_bytes().replace(b"\r\n", b"\n").decode("utf-8")
    return _without_other_commands(content, stage) if file == COMMANDS else content


def _without_other_commands(text: str, stage: str) -> str:
    lines = text.splitlines(keepends=True)
    for name, begin, end in _commands(text):
        if name != stage.split("/")[0].replace("-", "_"):
            lines[begin - 1 : end] = ["\n"] * (end - begin + 1)
    return "".join(lines)


@cache
def _commands(text: str) -> list[tuple[str, int, int]]:
    """Find the functions that are commands, with their first and last lines."""
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return [
        (node.name, node.decorator_list[0].lineno, node.end_lineno or node.lineno)
        for node in functions
        if any(ast.unparse(decorator).startswith("app.command") for decorator in node.decorator_list)
    ]


def imports(file: Path, stage: str) -> frozenset[str]:
    """List the modules that a file imports anywhere, and the packages that contain them."""
    package = file.relative_to(SOURCE).parent.parts
    return _imported(read(file, stage), package) if file.suffix == ".py" else frozenset()


@cache
def _imported(text: str, package: tuple[str, ...]) -> frozenset[str]:
    """See `imports`; ``from a import b`` may also import a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return frozenset(".".join(name.split(".")[:k]) for name in names for k in range(1, name.count(".") + 2))


def _modules() -> dict[str, Path]:
    """Map the import names of the package's modules to their files."""
    found: dict[str, Path] = {}
    for file in [path for path in package_files() if path.suffix == ".py"]:
        parts = file.relative_to(SOURCE).with_suffix("").parts
        found.setdefault(".".join(parts[:-1] if parts[-1] == "__init__" else parts), file)
    return found
