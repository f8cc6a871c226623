"""The code blocks of README and docs/: programs print what stands below them, and commands are ones that exist."""

import doctest
import re
import shlex

import pytest
import typer
from conftest import PROJECT
from dvc.cli.parser import get_main_parser

from wen.cli import app

PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((PROJECT / "docs").glob("*.md"))))
WEN = typer.main.get_command(app)


def read(page: str) -> str:
    return (PROJECT / page).read_text(encoding="utf-8")


PRINTED = [
    (page, program, output)
    for page in PAGES
    for program, output in re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", read(page), re.DOTALL)
]
LINES = [
    (page, line.strip())
    for page in PAGES
    for block in re.findall(r"```sh\n(.*?)```", read(page), re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
COMMANDS = sorted(
    {
        (page, part.strip())
        for page, line in LINES
        for part in re.split(r"&&|;|\|(?!\|)", re.sub(r"(^|\s)#.*", "", line).lstrip("!"))
        if re.match(r"(wen|dvc|make) ", part.strip()) and "$" not in part and "..." not in part
    }
)


@pytest.mark.parametrize(("page", "program", "output"), PRINTED, ids=[page for page, _, _ in PRINTED])
def test_a_program_prints_what_stands_below_it(
    page: str, program: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(program, {})
    assert capsys.readouterr().out == output


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_of_a_page_is_one_that_exists_with_these_options(page: str, command: str) -> None:
    program, *arguments = shlex.split(re.sub(r"(?<=\s)[<>].*", "", command))
    if program == "make":
        targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
        assert {name for name in arguments if "=" not in name} <= targets
    elif program == "dvc":
        get_main_parser().parse_args(arguments)
    elif arguments[0].startswith("--"):
        assert any(arguments[0] in parameter.opts for parameter in WEN.params)
    else:
        name, *rest = arguments
        assert name in WEN.commands, command  # type: ignore[attr-defined]
        WEN.commands[name].make_context(name, rest)  # type: ignore[attr-defined]


def test_every_example_of_the_python_api_gives_what_stands_below_it() -> None:
    examples = "\n".join(re.findall(r"```python\n(>>>.*?)```", read("docs/API.md"), re.DOTALL))
    test = doctest.DocTestParser().get_doctest(examples, {}, "API.md", "API.md", 0)
    assert len(test.examples) > 20
    report: list[str] = []
    assert doctest.DocTestRunner().run(test, out=report.append).failed == 0, "".join(report)
