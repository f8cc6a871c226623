import html
import re
import string
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT
from report_study import MakeStudy

from wen.config.read import load
from wen.ensemble.weights import SCHEMES
from wen.report import page, terminal
from wen.report.language import Text, catalogue

REPORT = PROJECT / "src/wen/report"


def test_every_text_is_there_in_both_languages_with_the_same_gaps() -> None:
    for key, texts in catalogue().items():
        gaps = {lang: {name for _, name, _, _ in string.Formatter().parse(text)} for lang, text in texts.items()}
        assert set(gaps) == {"en", "id"}, key
        assert gaps["en"] | {None} == gaps["id"] | {None}, key


def test_every_text_that_templates_and_code_name_is_in_the_catalogue_and_no_other() -> None:
    sources = [path.read_text() for path in REPORT.rglob("*") if path.suffix in (".py", ".html", ".xml", ".md")]
    named = {key for text in sources for key in re.findall(r'\b(?:t|self)\(\s*"([^"]+)"\s*[,)]', text)}
    prefixes = {key for text in sources for key in re.findall(r'\b(?:t|self)\(f?"([^"{]+\.|by_)(?:"\s*[~+]|\{)', text)}
    assert named <= set(catalogue())
    # RQ and H are looked up by their key.
    loose = ("H1", "H2", "H3", "H4", *prefixes)
    assert [key for key in catalogue() if key not in named and not key.startswith(tuple(loose))] == []


def test_a_text_with_the_limits_of_an_interval_names_its_level() -> None:
    with_limits = {key: texts for key, texts in catalogue().items() if "{low}" in texts["en"]}
    assert [key for key, texts in with_limits.items() if not all("95%" in text for text in texts.values())] == []


@pytest.mark.parametrize("profile", sorted((PROJECT / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_names_a_language(profile: Path) -> None:
    assert load(profile).report.language in ("en", "id")


def test_limits_have_a_dash_between_them_unless_a_minus_would_stand_beside_it() -> None:
    t, u = Text("en"), Text("id")
    assert t.between([0.25, 0.5]) == "0.25\N{EN DASH}0.50"
    assert (t.between([-0.5, -0.25]), u.between([-0.5, 0.25])) == ("-0.50 to -0.25", "-0,50 sampai 0,25")
    assert t.between([None, None]) == "\N{EN DASH}"


def test_a_sentence_never_says_that_a_p_value_equals_less_than_something() -> None:
    t = Text("en")
    sentences = {p: t("result.H1.supported", p=t.p_is(p)) for p in (0.52, 0.0004)}
    assert sentences[0.52].endswith("(adjusted p = 0.520).")
    assert sentences[0.0004].endswith("(adjusted p < 0.001).")
    assert not [key for key, texts in catalogue().items() for text in texts.values() if "= {p}" in text]


def test_a_p_value_below_5_percent_is_never_rounded_to_5_percent() -> None:
    t, u = Text("en"), Text("id")
    assert [*map(t.p, (0.0494, 0.0496, 0.049996, 0.05, 0.0504, 0.9999))] == [
        "0.049", "0.0496", "0.049996", "0.050", "0.050", "1.000",
    ]  # fmt: skip
    assert (t.p_is(0.0499), u.p_is(0.0499), u.p(0.0004)) == ("= 0.0499", "= 0,0499", "< 0,001")


def test_zero_has_no_minus_and_a_number_of_params_yaml_keeps_all_its_digits() -> None:
    t, u = Text("en"), Text("id")
    assert (t.number(-0.0), t.points(-0.0), t.points(-0.001)) == ("0.000", "0.0", "-0.1")
    assert (t.number(0.9996), t.number(0.0004), t.number(1.0), t.number(0.9996, 3)) == (
        "0.9996",
        "0.0004",
        "1.000",
        "1.000",
    )
    assert (t.number(-0.0003), u.number(-0.9996), t.number(-1e-17)) == ("-0.0003", "-0,9996", "0.000")
    assert (t.points(1 / 2506), t.points(-1 / 2506), t.points(1e-17)) == ("+0.04", "-0.04", "0.0")
    assert (t.margin(0.01), t.margin(0.0125), u.margin(0.07), t.margin(0.0005)) == ("1.0", "1.25", "7,0", "0.05")
    assert (t.percent(0.004), t.percent(0.9996, 1), t.percent(0.0), t.percent(1.0)) == ("0.4%", "99.96%", "0%", "100%")
    assert (t.threshold(0.7314), t.threshold(0.99999), u.threshold(0.00004)) == ("0.731", "0.99999", "0,00004")
    assert (t.threshold(1.0), t.threshold(1 + 2**-52), t.threshold(None)) == ("1.000", "> 1", t.number(None))
    assert (t.given(0.1), t.given(0.9999999), u.given(0.0125)) == ("0.1", "0.9999999", "0,0125")


def test_weightings_have_names_in_the_language_of_the_report_and_those_of_the_user_their_own() -> None:
    named = {language: [*map(Text(language).scheme, SCHEMES)] for language in ("en", "id")}
    assert named["en"] == ["accuracy", "F1", "kappa", "AUC", "uniform"]
    assert named["id"] == ["akurasi", "F1-Score", "kappa", "AUC", "seragam"]
    assert Text("id").scheme("brier") == "brier"


@pytest.mark.parametrize(("language", "thousands"), [("en", "12,345"), ("id", "12.345")])
def test_integers_in_a_text_have_thousands_marks(language: str, thousands: str) -> None:
    t = Text(language)
    assert t("people.of", right=12345, subjects=20000).startswith(thousands)
    assert thousands in t("control.none", tests=np.int64(12345), p="= 1")


@pytest.mark.parametrize("language", ["en", "id"])
def test_no_number_of_a_thousand_and_more_is_without_its_mark_in_the_report(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    params, paths = make_study(cells=6000, report={"language": language})
    page.run(params, paths)
    terminal.run(params, paths)
    shown = html.unescape((paths.report / "index.html").read_text())
    for left_out in ("style", "script", "code", "pre"):
        shown = re.sub(rf"(?s)<{left_out}\b.*?</{left_out}>", "", shown)
    shown = re.sub(r"<[^>]*>", " ", shown.split('<section id="published">')[0])
    texts = [shown, (paths.report / "chapter4.tex").read_text(), capsys.readouterr().out]
    texts += [(paths.report / "model-card.md").read_text().split("---", 2)[2]]
    texts += [path.read_text() for path in (paths.report / "tables").glob("*.tex")]
    of_years = r"(?:19|20)\d\d\b"
    for text in texts:
        found = re.findall(rf"(?<![\w.,/-])(?!{of_years})\d{{4,}}(?![\w/-])(?!\.\d)", text)
        assert found == []
