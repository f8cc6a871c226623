"""Minus signs, powers of ten and Inter-LR on one line: in texts, on the page and in figures."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from report_study import MakeStudy

from wen.report import page, typography
from wen.report.drawing import write
from wen.report.language import Text
from wen.report.typography import code, typeset

TYPESET = True


def test_a_rate_is_a_power_of_ten_and_a_hyphen_before_a_number_a_minus_sign() -> None:
    assert typeset("LR 1e-05, 2.5e-05") == "LR 10⁻⁵, 2.5 · 10⁻⁵"
    assert typeset("-2.6 to 0.4 (-0.8; -12%)") == "\N{MINUS SIGN}2.6 to 0.4 (\N{MINUS SIGN}0.8; \N{MINUS SIGN}12%)"
    assert typeset("1e-5 fold 3: -1") == "10⁻⁵ fold 3: \N{MINUS SIGN}1"


def test_every_rate_is_written_as_a_power_of_ten_below_1() -> None:
    t, u = Text("en"), Text("id")
    rates = (0.001, "0.0005", 3e-4, "1e-05", 0.00015, 0.1, 1e-10, "1.0", 20.0)
    written = ["1e-3", "5e-4", "3e-4", "1e-5", "1.5e-4", "1e-1", "1e-10", "1", "20"]
    assert [t.rate(rate) for rate in rates] == written
    assert [float(one) for one in written] == [float(rate) for rate in rates]
    assert [typeset(t.rate(rate)) for rate in (0.001, 0.00015)] == ["10⁻³", "1.5 · 10⁻⁴"]
    assert typeset(u.rate(0.00015)) == "1,5 · 10⁻⁴"
    assert (t.member("0.001-3"), t.member("1e-05-0")) == ("1e-3 fold 3", "1e-5 fold 0")


@pytest.mark.parametrize(
    "name", ["0.001-3", "cell-7", "F1-Score", "UID_3e-04.bmp", "3e-04.bmp", "well/-5.png", "-5.png", "10.1007/978-3-1"]
)
def test_names_of_files_and_models_keep_their_hyphens(name: str) -> None:
    assert typeset(name) == name


def test_backticks_in_a_text_become_code_and_its_markup_is_escaped() -> None:
    assert code("`wen results` prints <b>") == "<code>wen results</code> prints &lt;b&gt;"


def test_only_the_text_of_a_page_is_typeset() -> None:
    kept = [
        "<title>Inter-LR 1e-05</title>", '<td data-sort="-0.5" data-of="inter 1e-05">', "<pre>1e-05 -1</pre>",
        "<code>-1</code>", "<svg><g>\n<text>-1</text></g></svg>", "<script>x = -1</script>",
    ]  # fmt: skip
    assert typography.page("-0.5<br>".join(kept)) == "\N{MINUS SIGN}0.5<br>".join(kept)
    assert typography.page("<p>Inter-LR 1e-05</p>") == '<p><span class="one">Inter-LR</span> 10⁻⁵</p>'


@pytest.mark.parametrize("language", ["en", "id"])
def test_no_text_of_the_page_has_a_hyphen_for_a_minus_or_a_rate_in_the_form_of_a_program(
    make_study: MakeStudy, language: str
) -> None:
    params, paths = make_study(skill=0.2, report={"language": language})
    page.run(params, paths)
    text = (paths.report / "index.html").read_text(encoding="utf-8")
    assert 'data-of="inter 1e-05 kappa"' in text
    shown = re.sub(r"<[^>]*>", " ", _bare(text))
    assert all(f"LR {rate}" in shown for rate in ("10⁻³", "10⁻⁴", "10⁻⁵"))
    assert re.findall(r"\bLR (?!10⁻)\S*\d", shown) == []
    assert re.findall(r"\d[eE]-\d+|[ (]-\d|`", shown) == []
    spans = r'<span class="one">(?:Inter|Intra)-LR</span>'
    assert re.findall(r"\b(?:Inter|Intra)-LR", re.sub(spans, "", _bare(text))) == []


def _bare(text: str) -> str:
    """A page without what is not typeset, and without tags but spans."""
    text = re.sub(r"<(script|style|svg|pre|code|title)\b.*?</\1>", " ", text, flags=re.DOTALL)
    return re.sub(r"<(?!/?span)[^>]*>", " ", text)


@pytest.mark.usefixtures("drawn", "all_formats")
def test_figures_are_typeset_and_their_data_are_not(tmp_path: Path) -> None:
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0.5, 0.25], label="Inter-LR 1e-05: -0.2")
    axes.set(xticks=[0, 1], xticklabels=["LR 1e-05", "LR 0.1"], title="LR 1e-05")
    axes.legend()
    drawn = write({"rates": figure}, tmp_path / "figures", Text("en"))["rates"]
    assert drawn.count("LR 10⁻⁵") == 3
    assert "Inter-LR 10⁻⁵: \N{MINUS SIGN}0.2" in drawn
    assert "1e-05" not in re.sub(r"<style.*?</style>", "", drawn)
    data = (tmp_path / "figures/rates.csv").read_text(encoding="utf-8")
    assert "Inter-LR 1e-05: -0.2" in data
    assert "10⁻⁵" not in data
