"""An undecided verdict always comes with the difference that the study would have detected."""

import html
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from report_study import MakeStudy, PageOf

from wen.evaluation.runs import compare_runs
from wen.files import read_json
from wen.report import claims, page, published, statements, terminal
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
    assert statements.verdict("H1", found("undecided", 0.0819), t) == f"{undecided} ({some})"
    assert statements.verdict("H1", found("undecided", None), t) == f"{undecided} ({none})"
    assert statements.verdict("H1", found("not_tested", None, p=None), t) == t("verdict.not_tested")
    assert statements.verdict("H1", found("supported", 0.0819), t) == t("verdict.supported")
    alone = statements.verdict("H3", found("undecided", 0.0819), t)
    assert alone == f"{undecided} ({t('power.short.H3', smallest=t.number(8.2, 1))})"
    hypotheses = {
        "H1": found("undecided", 0.0819), "H2": found("supported", 0.02), "H3": found("undecided", None),
        "H4": found("not_tested", None, p=None),
    }  # fmt: skip
    sentence = statements.left_open({"hypotheses": hypotheses}, "kappa", t)
    assert f"{t('answer.claim.H1')} ({some})" in sentence
    assert f"{t('answer.claim.H3')} ({none})" in sentence
    assert t("answer.claim.H2") not in sentence
    assert t("answer.claim.H4") not in sentence
    assert statements.left_open({"hypotheses": {"H2": found("not_supported", 0.02)}}, "kappa", t) == ""


def test_with_plain_averages_nothing_is_claimed_of_weighted_ensembles() -> None:
    t, evidence = Text("en"), {"hypotheses": {"H2": found("undecided", 0.02)}}
    assert "whether a weighted ensemble beats" in statements.left_open(evidence, "kappa", t)
    assert "whether an unweighted ensemble beats" in statements.left_open(evidence, "uniform", t)
    assert statements.claim("H3", "uniform", t) == t("answer.claim.H3")


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_answer_and_the_terminal_say_it_of_every_undecided_hypothesis(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    params, paths = make_study(cells=120, report={"language": language})
    page.run(params, paths)
    evidence, t = read_json(paths.evidence), Text(language)
    assert "undecided" in {hypothesis["verdict"] for hypothesis in evidence["hypotheses"].values()}
    assert statements.left_open(evidence, params.weighting, t) in (paths.report / "index.html").read_text()
    capsys.readouterr()
    terminal.run(params, paths)
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for key, hypothesis in evidence["hypotheses"].items():
        assert f"{t(key).removesuffix('.')}: {statements.verdict(key, hypothesis, t)}" in shown


def audit(unit: str = "image", **found: int | None) -> dict[str, Any]:
    shared = {"images": 20, "shared_subjects": 0, "images_of_shared_subjects": 0, "duplicate_images": 0}
    between = shared | {"near_copy_images": 0} | found
    return {
        "unit": unit, "test_set": "random", "test": {"subjects": 1}, "excluded": {"images": 0},
        "test_and_development": between, "validation_and_train": {"0": shared | {"near_copy_images": 0}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("language", "apart", "copied", "known"),
    [
        (
            "en",
            "no person has cells in both the test set",
            "near-copies of 3. The results on these",
            "as far as a test set of 1 person",
        ),
        (
            "id",
            "tidak ada orang yang memiliki sel di data uji",
            "3 memiliki citra hampir sama. Hasil",
            "oleh data uji dari 1 orang",
        ),
    ],
)
def test_the_page_says_that_people_are_on_both_sides_only_if_they_are(
    language: str, apart: str, copied: str, known: str
) -> None:
    t = Text(language)
    by_image, by_subject = (
        {"division": statements.division(unit, "random", t).capitalize()} for unit in ("image", "subject")
    )
    assert statements.separation(audit(shared_subjects=2), t) == t("by_image", **by_image)
    assert statements.separation(audit(shared_subjects=None), t) == t("by_image.unknown", **by_image)
    assert statements.separation(audit("subject"), t) == t("by_subject", **by_subject)
    for leak in ("shared_subjects", "duplicate_images", "near_copy_images"):  # of a table that was edited
        assert statements.separation(audit("subject", **{leak: 1}), t) == t("by_subject.leaking", **by_subject)
    left_out = audit() | {"excluded": {"images": 5}}
    assert t("leaks.excluded.related", images="5") in statements.leaks(left_out, t)
    of_csv = left_out | {"test_set": "a.csv"}
    assert t("leaks.excluded.own", images="5") in statements.leaks(of_csv | {"unit": "subject"}, t)
    assert t("leaks.excluded.left_out", images="5") in statements.leaks(of_csv, t)
    assert apart in statements.separation(audit(), t)
    copies = statements.leaks(audit(duplicate_images=2, near_copy_images=3), t)
    assert copied in copies
    assert not re.search("new patient|pasien baru", copies)
    assert known in statements.leaks(audit(), t)


@pytest.mark.parametrize(("of_inter", "sentence"), [(0.1, "are equally accurate"), (0.05, "is the more accurate of")])
def test_neither_of_two_equally_accurate_ensembles_is_called_the_better(of_inter: float, sentence: str) -> None:
    answer = {"ensemble": "intra", "single": "single", "single_accuracy": 0.8, "difference": 0.1}
    answer |= {"difference_low": 0.0, "difference_high": 0.2}
    tests = [{"hypothesis": "H2", "decides": True, "difference": difference} for difference in (0.1, of_inter)]
    shown = statements.ensemble({"answer": answer, "tests": tests}, {"intra": "Intra-LR", "single": "LR 1"}, Text("en"))
    assert sentence in shown


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("unit", ["image", "subject"])
def test_of_people_with_one_image_each_the_page_says_bootstrap_and_independent(
    make_study: MakeStudy, unit: str
) -> None:
    params, paths = make_study(cells=90, subjects=90, split={"unit": unit})
    page.run(params, paths)
    t, shown = Text("en"), (paths.report / "index.html").read_text()
    images = read_json(paths.evidence)["images"]
    assert t("answer.sure.each", images=images) in shown
    assert f"95% bootstrap intervals ({t.count(params.report.bootstrap)} resampled test sets" in shown
    assert "ackknife" not in shown + (paths.report / "model-card.md").read_text()


def test_people_are_counted_in_words_that_fit() -> None:
    t = Text("en")
    assert [t.people(number) for number in (None, 1, 1200)] == [
        "an unknown number of people",
        "1 person",
        "1,200 people",
    ]


@pytest.mark.parametrize("language", ["en", "id"])
def test_a_study_without_stage_2_or_with_its_start_left_open_is_described_as_it_is(
    make_study: MakeStudy, language: str
) -> None:
    t = Text(language)
    params, paths = make_study(finetune={"epochs": 0, "unfreeze_from": "auto"}, report={"language": language})
    page.run(params, paths)
    for name, text in (("index.html", t("tables.origin.head")), ("model-card.md", t("card.stages.head"))):
        assert text in (paths.report / name).read_text()
    page.run(params.model_copy(update={"finetune": params.finetune.model_copy(update={"epochs": 1})}), paths)
    assert t("tables.origin", unfreeze_from=t("unfrozen.auto")) in (paths.report / "index.html").read_text()
    assert "auto" not in (paths.report / "model-card.md").read_text().split("---")[2]


def test_a_test_set_of_other_people_counts_as_split_by_subject_where_the_challenge_made_it(
    make_study: MakeStudy,
) -> None:
    params, paths = make_study(dataset={"source": "cnmc", "complete": True})
    study = page.gather(params, paths)
    split = params.split.model_copy(update={"test": "preliminary"})
    other = replace(study, params=params.model_copy(update={"split": split}))
    found = [published.beside(one, "this study").query("focus").group.item() for one in (study, other)]
    assert found == ["image", "subject"]
    claim, estimate = {"value": 0.9, "data": "C-NMC preliminary", "unit": "subject"}, {"low": 0.95, "high": 0.97}
    assert claims.judge(claim, estimate, [], study.params)["reasons"] == ["easier"]
    assert claims.judge(claim, estimate, [], other.params) == {"verdict": "borne_out", "reasons": []}


@pytest.mark.parametrize(
    ("schemes", "says"),
    [
        (["accuracy", "kappa"], "The 4 tests that decide H1, H2 and H4 share"),
        (["kappa"], "The 3 tests that decide H1 and H2 share"),
    ],
)
def test_h4_is_counted_among_the_deciding_tests_only_if_it_is_tested(
    make_study: MakeStudy, schemes: list[str], says: str
) -> None:
    params, paths = make_study(schemes=schemes)
    page.run(params, paths)
    text = (paths.report / "index.html").read_text()
    assert says in text
    assert "The three weightings do" not in text


@pytest.mark.parametrize("verdict", ["supported", "not_supported", "undecided"])
@pytest.mark.parametrize("schemes", [["f1", "kappa"], ["accuracy", "f1", "kappa"]])
def test_the_result_of_h4_names_the_weightings_unless_all_three_are_compared(schemes: list[str], verdict: str) -> None:
    tests = [{"test": "schemes", "between": [f"scheme {scheme}" for scheme in schemes]}]
    evidence = {"hypotheses": {"H4": found(verdict, 0.02) | {"cannot_refute": False}}, "tests": tests}
    evidence |= {"margin": 0.01, "reading": "leak_free", "units": 90}
    for language, stated in (("en", "only F1 and kappa are"), ("id", "hanya F1-Score dan kappa yang dibandingkan")):
        assert (stated in statements.hypothesis("H4", evidence, Text(language))) is (len(schemes) == 2)


@pytest.mark.parametrize("verdict", ["supported", "not_supported", "undecided"])
@pytest.mark.parametrize("language", ["en", "id"])
def test_the_result_of_h2_states_that_the_thesis_hypothesis_asks_for_more(language: str, verdict: str) -> None:
    evidence = {"hypotheses": {"H2": found(verdict, 0.02) | {"cannot_refute": False}}, "tests": [], "margin": 0.01}
    evidence |= {"reading": "leak_free", "units": 90}
    assert Text(language)("result.H2.either") in statements.hypothesis("H2", evidence, Text(language))


@pytest.mark.parametrize("language", ["en", "id"])
def test_on_a_test_set_of_one_subject_every_hypothesis_is_not_tested_wherever_it_stands(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    params, paths = make_study(split={"unit": "subject"}, report={"language": language})
    study, t = page.gather(params, paths), Text(language)
    study = replace(study, cells=study.cells.assign(component=0))
    for module in (page, terminal):
        monkeypatch.setattr(module, "gather", lambda *_: study)
    page.run(params, paths)
    shown, chapter = (html.unescape((paths.report / name).read_text()) for name in ("index.html", "chapter4.tex"))
    not_tested, why = t("verdict.not_tested"), t("result.missing.units", unit=t("unit.subject"))
    assert shown.count(f'<span class="badge">{not_tested}</span><p>{why}</p>') == 4
    assert chapter.count(f": {not_tested}. {why}") == 4
    assert t("answer.not_tested", claims="").strip() in shown
    assert "p terkoreksi adalah" not in shown
    assert "the adjusted p is" not in shown
    capsys.readouterr()
    terminal.run(params, paths)
    assert capsys.readouterr().out.count(f": {not_tested}") == 4


def test_few_test_people_are_given_as_a_cause_if_five_folds_have_no_power() -> None:
    person = np.arange(40) % 2
    right = np.stack([person == 0, person == 1, person < 2]).astype(int)
    runs = compare_runs(np.repeat(right[:, None], 5, axis=1), person)
    assert runs.smallest(0.0125) is None
    test = {"test": "runs", "folds": runs.folds, "deviation": runs.deviation}
    stated = statements.power("H1", {"tests": [test], "hypotheses": {"H1": {"smallest": None}}}, Text("en"))
    assert "more folds, a larger test set or both" in stated


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_page_states_that_a_rate_in_focus_beside_the_grid_competes_with_none(language: str) -> None:
    t, answer = Text(language), {"lr": 0.001, "lr_mean": {"0.001": 0.9, "1e-05": 0.8}}
    answer["lr_std"] = answer["lr_mean"]
    for lr, beside in ((0.001, False), (0.00001, False), (0.0007, True)):
        stated = statements.rates({"answer": answer, "focus": {"lr": lr}}, t)
        assert stated.endswith(t("answer.lr.apart", lr=t.rate(lr))) is beside


def test_the_rules_mention_only_tests_that_the_study_has() -> None:
    t, tests = Text("en"), [{"hypothesis": "H1", "family": "champions", "decides": False}]
    evidence: dict[str, Any] = {
        "images": 1200, "units": 1200, "effective_units": 1200.0, "unit": "image", "family": 3, "level": 0.05 / 3,
        "margin": 0.01, "coverage": {"accuracy": 0.95, "difference": 0.95}, "reading": "leak_free", "tests": tests,
        "control": {"rows": []},
    }  # fmt: skip
    few = statements.rules(evidence, "kappa", t)
    assert "adjusted separately: the champions' tests of H1. A" in few
    assert "1,200 test images" in few
    for absent in ("H4", "ROC", "control", "published"):
        assert absent not in few
    tests += [{"hypothesis": "H4", "family": family, "decides": False} for family in ("networks", "areas")]
    all_of_them = statements.rules(evidence | {"control": {"rows": [1]}}, "kappa", t)
    assert "networks of published systems, the areas under the ROC curve and the control. A" in all_of_them
    assert "H4 compares the weightings" in all_of_them


@pytest.mark.parametrize(("ensemble", "language"), [("intra", "en"), ("single", "id"), ("inter", "en")])
def test_a_headline_whose_champions_were_chosen_on_test_data_is_called_optimistic_wherever_it_stands(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str], language: str, ensemble: str
) -> None:
    params, paths = make_study(reading="as_written", ensemble=ensemble, report={"language": language})
    page.run(params, paths)
    study, t = page.gather(params, paths), Text(language)
    stated = t("answer.optimistic", name=t.name(study.focus))
    capsys.readouterr()
    terminal.run(params, paths)
    written = {name: (paths.report / name).read_text() for name in ("index.html", "chapter4.tex", "model-card.md")}
    written["chapter4.tex"] = written["chapter4.tex"].replace("\\_", "_").replace("$10^{-3}$", "1e-3")
    written["chapter4.tex"] = re.sub(r"\\mbox{([^}]*)}", r"\1", written["chapter4.tex"])
    written["terminal"] = " ".join(capsys.readouterr().out.split())
    first = html.unescape(written["index.html"]).split('<p class="answer">')[1].split("</p>")[0]
    assert (t("answer.first.optimistic") in first) is (ensemble != "inter")
    assert t("result.optimistic") in written["index.html"]  # H2 and H3 compare Intra-LR
    for section in ("answer", "baselines", "people", "decisions"):
        written[section] = written["index.html"].split(f'<section id="{section}">')[1].split("</section>")[0]
    for name, text in written.items():
        assert (stated in html.unescape(text)) is (ensemble != "inter"), name


def test_a_headline_by_leak_free_is_not_called_optimistic(make_study: MakeStudy) -> None:
    params, paths = make_study(ensemble="intra")
    page.run(params, paths)
    for name in ("index.html", "chapter4.tex", "model-card.md"):
        assert "are optimistic, because" not in (paths.report / name).read_text()


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("unit", ["image", "subject"])
def test_how_the_images_were_divided_is_worded_alike_everywhere(
    page_of: PageOf, capsys: pytest.CaptureFixture[str], language: str, unit: str
) -> None:
    params, paths = page_of(language, unit)
    capsys.readouterr()
    terminal.run(params, paths)
    t = Text(language)
    divided = statements.division(unit, "random", t)
    for name in ("index.html", "chapter4.tex", "model-card.md"):
        assert divided.lower() in (paths.report / name).read_text().lower(), name
    assert divided in " ".join(capsys.readouterr().out.split())
    of_part, by_csv = (statements.division(unit, test, t) for test in ("fold_0", "my-split.csv"))
    assert "fold_0" in of_part
    assert "my-split.csv" in by_csv
    assert len({divided.split()[0], of_part.split()[0]}) == 2
