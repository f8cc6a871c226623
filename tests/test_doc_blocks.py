"""The code blocks of README and docs/: programs print what stands below them, and every block is run by a test.

Blocks of shell commands run in tests/pipeline; here, each command is parsed.
"""

import doctest
import re
import shlex

import pytest
import typer
from conftest import PROJECT
from dvc.cli.parser import get_main_parser
from pages import PAGES, blocks, read
from ruamel.yaml import YAML

from wen.cli import app
from wen.config.params import Params
from wen.systems.system import settings_of

WEN = typer.main.get_command(app)

PRINTED = [
    (page, program, output)
    for page in PAGES
    for program, output in re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", read(page), re.DOTALL)
]
LINES = [
    (page, line.strip())
    for page in PAGES
    for block in blocks(page, "sh")
    for line in block.replace("\\\n", " ").splitlines()
]
IN_TABLES = [
    (page, command.strip("`"))
    for page in PAGES
    for cell in re.findall(r"^\| (`(?:wen|dvc|make) .*?) \| ", read(page), re.MULTILINE)
    for command in re.findall(r"`[^`]+`", cell)
    if not re.search(r"\b[A-Z]{3,}\b", command)  # a placeholder
]
COMMANDS = sorted(
    {
        (page, part.strip())
        for page, line in (*LINES, *IN_TABLES)
        for part in re.split(r"&&|;|\|(?!\|)", re.sub(r"(^|\s)#.*", "", line).lstrip("!"))
        if re.match(r"(wen|dvc|make) ", part.strip()) and "$" not in part and "..." not in part
    }
)

RUN = {
    ("README.md", "make demo"): "pipeline/test_pages.py",
    ("README.md", "make study"): "pipeline/test_pages.py",
    ("README.md", "dvc exp run"): "pipeline/test_pages.py",
    ("docs/API.md", ">>> "): "test_doc_blocks.py",
    ("docs/API.md", "gather"): "report/test_tutorial.py",
    ("docs/API.md", "opened"): "pipeline/test_bundle.py",
    ("docs/CHAPTER4.md", "dvc repro"): "pipeline/test_pages.py",
    ("docs/CHAPTER4.id.md", "dvc repro"): "pipeline/test_pages.py",
    ("docs/CLASSIFY.md", "--submission"): "pipeline/test_pages.py",
    ("docs/CLASSIFY.md", "--bundle bundle cells/ --output"): "pipeline/test_pages.py",
    ("docs/CLASSIFY.md", "git tag"): "pipeline/test_pages.py",
    ("docs/CLUSTER.md", "wen run --jobs 2"): "pipeline/test_pages.py",
    ("docs/CLUSTER.md", "#SBATCH --nodes"): "pipeline/test_run.py",
    ("docs/CLUSTER.md", "SLURM_ARRAY_TASK_ID"): "pipeline/test_pages.py",
    ("docs/CLUSTER.md", "ray up"): "pipeline/test_run.py",
    ("docs/CLUSTER.md", "git bundle create"): "pipeline/test_pages.py",
    ("docs/CLUSTER.md", "/kaggle/input/wen/wen.bundle"): "pipeline/test_pages.py",
    ("docs/COST.md", "features, stage_2"): "test_doc_blocks.py",
    ("docs/EXTEND.md", "RandomForestClassifier"): "members/test_classical.py",
    ("docs/KAGGLE.md", "h200 = "): "test_doc_blocks.py",
    ("docs/SERVE.md", "wen serve bundle"): "pipeline/test_pages.py",
    ("docs/STUDY.md", "DATA=/path/to/C-NMC"): "pipeline/test_pages.py",
    ("docs/STUDY.md", "DATA=lab"): "pipeline/test_pages.py",
    ("docs/SYSTEMS.md", "PAPER = "): "systems/test_systems.py",
    ("docs/TUTORIAL.md", "make demo"): "pipeline/test_pages.py",
    ("docs/TUTORIAL.md", "import "): "report/test_tutorial.py",
    ("docs/TUTORIAL.id.md", "make demo"): "pipeline/test_pages.py",
    ("docs/TUTORIAL.id.md", "import "): "report/test_tutorial.py",
}
"""A phrase of each block that a test runs, and the test."""

NOT_RUN = {
    ("CONTRIBUTING.md", "make test"): "it is how these tests are run",
    ("docs/CHAPTER4.md", "make chapter"): "needs LaTeX; report/test_chapter.py compiles the draft where pdflatex is",
    ("docs/CHAPTER4.id.md", "make chapter"): "the same",
    ("docs/CLUSTER.md", "make study DATA=/path/to/C-NMC\nwen run"): "each of its two commands is run in another block",
    ("docs/INSTALL.md", "of PyTorch's page"): "its command is on a page of PyTorch's",
    ("docs/INSTALL.md", "wen init my-study"): "installs everything again, as a job of .github/workflows/test.yml does",
}  # fmt: skip
"""A phrase of each block that no test runs, and why."""


@pytest.mark.parametrize(("page", "program", "output"), PRINTED, ids=[page for page, _, _ in PRINTED])
def test_a_program_prints_what_stands_below_it(
    page: str, program: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(program, {})
    assert capsys.readouterr().out == output


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_by_a_test_or_listed_with_the_reason_why_not(page: str) -> None:
    known = [phrase for where, phrase in (*RUN, *NOT_RUN) if where == page]
    for block in (*blocks(page, "sh"), *blocks(page, "python")):
        assert any(phrase in block for phrase in known), f"a new block: list it here\n{block}"
    for phrase in known:
        assert any(phrase in block for block in (*blocks(page, "sh"), *blocks(page, "python"))), phrase


@pytest.mark.parametrize(("page", "phrase", "test"), [(*block, test) for block, test in RUN.items()])
def test_a_block_that_a_test_runs_is_named_there(page: str, phrase: str, test: str) -> None:
    text = (PROJECT / "tests" / test).read_text(encoding="utf-8")
    assert page.removeprefix("docs/") in text or test == "test_doc_blocks.py"


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_of_a_page_is_one_that_exists_with_these_options(page: str, command: str) -> None:
    program, *arguments = shlex.split(re.sub(r"(?<=\s)[<>].*", "", command))
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
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


def test_the_systems_page_s_parameters_are_valid() -> None:
    yaml = YAML(typ="safe", pure=True)
    (shown,) = blocks("docs/SYSTEMS.md", "yaml")
    params = Params.model_validate(yaml.load(read("profiles/thesis.yaml")) | yaml.load(shown))
    assert list(params.systems) == ["ullah2021", "wibowo2024"]
    for name in params.systems:
        settings_of(params, name)
