"""An undecided verdict always comes with the difference that the study would have detected."""

import re
from typing import Any

import pytest
from report_study import MakeStudy

from wen.files import read_json
from wen.report import page, statements, terminal
from wen.report.language import Text


def found(verdict: str, smallest: float | None, p: float | None = 0.3) -> dict[str, Any]:
    return {"verdict": verdict, "p_adjusted": p, "smallest": smallest}


@pytest.mark.parametrize(
    ("language", "some", "none"),
    [
        ("en", "80% power to detect 8.2 points", "without 80% power to detect any difference"),
        ("id", "power 80% untuk mendeteksi 8,2 poin", "tanpa power 80% untuk mendeteksi selisih apa pun"),
    ],
)
def test_only_an_undecided_verdict_is_named_with_the_difference_that_would_be_detected(
    language: str, some: str, none: str
) -> None:
    t = Text(language)
    undecided = t("verdict.undecided")
    assert statements.verdict(found("undecided", 0.0819), t) == f"{undecided} ({some})"
    assert statements.verdict(found("undecided", None), t) == f"{undecided} ({none})"
    assert statements.verdict(found("undecided", None, p=None), t) == undecided  # nothing was tested
    assert statements.verdict(found("supported", 0.0819), t) == t("verdict.supported")
    hypotheses = {
        "H1": found("undecided", 0.0819), "H2": found("supported", 0.02), "H3": found("undecided", None),
        "H4": found("undecided", None, p=None),
    }  # fmt: skip
    sentence = statements.left_open({"hypotheses": hypotheses}, t)
    assert f"{t('answer.claim.H1')} ({some})" in sentence
    assert f"{t('answer.claim.H3')} ({none})" in sentence
    assert t("answer.claim.H2") not in sentence
    assert t("answer.claim.H4") not in sentence
    assert statements.left_open({"hypotheses": {"H2": found("not_supported", 0.02)}}, t) == ""


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("language", ["en", "id"])
def test_the_answer_and_the_terminal_say_it_of_every_undecided_hypothesis(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    params, paths = make_study(cells=120, report={"language": language})
    page.run(params, paths)
    evidence, t = read_json(paths.evidence), Text(language)
    assert "undecided" in {hypothesis["verdict"] for hypothesis in evidence["hypotheses"].values()}
    assert statements.left_open(evidence, t) in (paths.report / "index.html").read_text()
    capsys.readouterr()
    terminal.run(params, paths)
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for key, hypothesis in evidence["hypotheses"].items():
        assert f"{t(key).removesuffix('.')}: {statements.verdict(hypothesis, t)}" in shown
