"""The report on a laboratory's cells uses the names of its data and never C-NMC, ALL or HEM."""

import html
import re
import zipfile

import pytest
from conftest import PROJECT
from report_study import MakeStudy, PageOf

from wen.config.params import Params
from wen.config.paths import Paths
from wen.files import read_json, write_json
from wen.report import page, terminal
from wen.report.language import Text

FOREIGN = re.compile(
    r"C-NMC|CNMC|ISBI|Gupta|\b(ALL|HEM)\b|[Ll]euk|[Bb]last|sel blas|[Oo]ne laboratory|[Ss]atu laboratorium"
)
LAB = {"source": "folder", "name": "Lab 7", "classes": ["well", "sick"], "side": None, "complete": False}


def of_lab(page_of: PageOf, language: str, subjects: int) -> tuple[Params, Paths]:
    repeats = {} if subjects else {"repeats": {"subject": 0}}
    return page_of(language, dataset=LAB, subjects=subjects, **repeats)


def written(study: tuple[Params, Paths]) -> dict[str, str]:
    """The text of everything that the report wrote, without its scripts, styles, pictures and parameters."""
    _, paths = study
    text = (paths.report / "index.html").read_text(encoding="utf-8")
    for part in ("style", "script", "svg", "pre"):
        text = re.sub(rf"<{part}\b.*?</{part}>", " ", text, flags=re.DOTALL)
    files = [path for path in paths.report.rglob("*") if path.suffix in (".md", ".tex", ".csv")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in [*files, *paths.plots.glob("*.csv")]}
    return texts | {"index.html": html.unescape(re.sub(r"<[^>]+>", " ", text))}


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("subjects", [24, 0])
def test_the_report_on_other_data_does_not_mention_c_nmc(page_of: PageOf, language: str, subjects: int) -> None:
    texts = written(of_lab(page_of, language, subjects))
    for name, text in texts.items():
        lines = [line for line in text.splitlines() if not re.search(r"doi:|https?:|10\.[0-9]{4}", line)]
        assert not [line.strip() for line in lines if FOREIGN.search(line)], name
    for name in ("index.html", "model-card.md"):
        assert "Lab 7" in texts[name]
        assert "sick" in texts[name]
        assert "well" in texts[name]
    assert "well" in texts["confusion.csv"]


@pytest.mark.parametrize("language", ["en", "id"])
def test_without_subjects_the_report_counts_no_people(page_of: PageOf, language: str) -> None:
    params, paths = of_lab(page_of, language, subjects=0)
    text = written((params, paths))["index.html"]
    assert {"en": "cannot tell whether a person", "id": "tidak dapat memastikan apakah seseorang"}[language] in text
    assert not re.search(r"[0-9] (people|subjects|orang|subjek)\b", text)
    assert not re.search(r"(subject|subjek) *,", text)
    evidence = read_json(paths.evidence)
    assert evidence["people"] is None
    assert evidence["subjects"] is None


def test_the_terminal_names_the_data_set(page_of: PageOf, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.run(*of_lab(page_of, "en", subjects=24))
    assert "Lab 7" in capsys.readouterr().out


def test_images_that_are_unlike_the_others_or_padded_are_named_on_the_page(make_study: MakeStudy) -> None:
    params, paths = make_study(dataset=LAB)
    about = read_json(paths.dataset_metrics)
    unlike = {"count": 1, "examples": [{"id": "well/7.png", "reasons": ["black"]}]}
    write_json(paths.dataset_metrics, about | {"unlike": unlike, "padded": 12, "width": [20, 40]})
    page.run(params, paths)
    text = written((params, paths))["index.html"]
    assert "may show no cell: 1. They include well/7.png (black)." in text
    assert "The images measure 20\N{EN DASH}40 by 32 px. Images padded with black" in text
    assert "smaller than the square that the network takes: 12." in text


NOT_KNOWN = re.compile(
    r"the disease\.|penyakitnya|worst error|terburuk\.|[Cc]ode and weights are under|license: mit|"
    r"published, de-identified|data publik yang|(?<!often )share stain|[Ee]very labelled|berlabel yang dapat dibaca|"
    r"delay a diagnosis|menunda diagnosis|[Nn]o personal data|[Tt]idak ada data pribadi|several sizes|berbagai ukuran"
)
"""What only somebody who knows the cells, their people and their licence could say."""


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("subjects", [24, 0])
def test_the_report_does_not_claim_what_only_the_laboratory_knows(
    page_of: PageOf, language: str, subjects: int
) -> None:
    texts = written(of_lab(page_of, language, subjects))
    assert {name: found[0] for name, text in texts.items() if (found := NOT_KNOWN.search(text))} == {}
    card = texts["model-card.md"]
    assert ({"en": "uses only the subjects", "id": "hanya menggunakan kode subjek"}[language] in card) == bool(subjects)
    assert {"en": "names or dates of birth", "id": "nama atau tanggal lahir"}[language] in card
    assert "license: other" in card


@pytest.mark.parametrize(
    ("backbone", "cited"),
    [
        ({"name": "tf_efficientnet_lite0", "weights": "pip"}, {"tan2019", "russakovsky2015"}),
        ({"name": "tf_efficientnetv2_m", "weights": "weights.pth"}, {"tan2021"}),
        ({"name": "convnext_atto", "weights": "weights.pth"}, set()),
    ],
)
def test_the_references_are_those_of_the_study_s_network(
    make_study: MakeStudy, backbone: dict[str, str], cited: set[str]
) -> None:
    params, paths = make_study(dataset=LAB, backbone=backbone)
    page.run(params, paths)
    text = (paths.report / "index.html").read_text(encoding="utf-8")
    keys = {"tan2019", "tan2021", "russakovsky2015"}
    assert {key for key in keys if f'<li id="reference-{key}"' in text} == cited
    assert '<li id="reference-mondal2021"' in text


@pytest.mark.parametrize("language", ["en", "id"])
def test_a_text_on_shared_people_is_about_known_people_alone(language: str) -> None:
    claim = r"(?<!as far as is known, )shares? no person|(?<!sejauh diketahui, )tidak memuat orang"
    for text in re.findall(rf'{language}: "([^"]*)"', (PROJECT / "src/wen/report/systems.yaml").read_text()):
        assert not re.search(claim, text)


def test_a_claim_on_another_data_set_names_both_data_sets() -> None:
    assert "other cells" not in Text("en")("systems.why.other_data", data="ALL-IDB", dataset="ALL_IDB2")
    assert "ALL_IDB2" in Text("id")("systems.why.other_data", data="ALL-IDB", dataset="ALL_IDB2")


def test_names_of_classes_and_data_are_printed_as_given(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page says what C-NMC's classes are by the names that a study gives them."""
    params, paths = make_study(
        dataset={"classes": ["$5$ cells", r"$\frac{1$"], "name": "Lab [2024] [/x] [red] <b>"},
        calibration="temperature", ensemble="single",
    )  # fmt: skip
    page.run(params, paths)
    text = written((params, paths))["index.html"]
    assert r"$\frac{1$ (leukaemic blast) is the positive class, $5$ cells (healthy cell) the negative" in text
    assert r"\$5\$ cells" in (paths.report / "chapter4.tex").read_text()
    with zipfile.ZipFile(paths.report / "chapter4.docx") as archive:
        assert "$5$ cells" in archive.read("word/document.xml").decode()
    assert "Temperature scaling is on (calibration: temperature in params.yaml), but applies to ensembles only" in text
    assert r"Lab \[2024\] \[/x\] \[red\] \<b\>" in (paths.report / "model-card.md").read_text()
    assert r"\$5\$ cells" in (paths.report / "model-card.md").read_text()
    terminal.run(params, paths)
    assert "Lab [2024] [/x] [red]" in capsys.readouterr().out
