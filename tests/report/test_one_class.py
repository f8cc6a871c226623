"""A test set with images of one class only: what is undefined is shown as such, and everything else is there."""

import html
import re

import pytest
from report_study import PageOf

from wen.files import read_json
from wen.report import terminal
from wen.report.language import ABSENT, Text

DRAWN = True


@pytest.mark.parametrize("tested", [0, 1])
@pytest.mark.parametrize(("unit", "language"), [("image", "en"), ("subject", "id")])
def test_it_is_reported_on_the_page_in_the_chapter_on_the_card_and_in_the_terminal(
    page_of: PageOf, capsys: pytest.CaptureFixture[str], unit: str, language: str, tested: int
) -> None:
    params, paths = page_of(language, unit, tested=tested)
    t = Text(language)
    capsys.readouterr()
    terminal.run(params, paths)
    stated = t(f"one_class.{1 - tested}")
    written = {name: (paths.report / name).read_text() for name in ("index.html", "chapter4.tex", "model-card.md")}
    written["terminal"] = " ".join(capsys.readouterr().out.split())
    for name, text in written.items():
        assert stated in html.unescape(text), name
        assert not re.search(rf"\bnan\b|\({ABSENT} ", text), name
    assert written["index.html"].count(t("figure.one_class")) == 3
    undefined = {"auc", "balanced_accuracy", "recall" if tested == 0 else "specificity"}
    for path in (
        paths.headline,
        paths.single_metrics("0.001", 0),
        paths.single_metrics("0.001", "mean"),
        paths.inter_metrics("0.001") / "kappa.json",
        paths.intra_metrics / "leak_free-kappa.json",
    ):
        assert {name for name, value in read_json(path).items() if value is None} == undefined, path
    for measure in undefined:
        cell = re.search(
            rf'data-of="inter 0.001 kappa" data-measure="{measure}"[^>]*>(.*?)</td>', written["index.html"]
        )
        assert cell
        assert re.sub("<[^>]*>", "", cell[1]) == 2 * ABSENT


def test_a_mean_of_zero_has_a_standard_deviation_and_an_undefined_one_none(page_of: PageOf) -> None:
    _, paths = page_of(tested=1)  # kappa is 0, the area undefined
    text = (paths.report / "index.html").read_text()
    shown = dict(re.findall(r'data-average="0.001" data-measure="(kappa|auc)"[^>]*>(.*?)</td>', text))
    assert shown == {"kappa": "0.000<small>± 0.000</small>", "auc": ABSENT}
    printed = (paths.report / "tables/average.tex").read_text()
    assert r"{\tiny $\pm$ 0.000}" in printed
    assert r"$\pm$ --" not in printed
