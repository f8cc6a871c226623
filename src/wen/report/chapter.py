"""A draft of chapter 4 of the thesis: the results in sentences, with the tables and figures that they refer to.

It is written as LaTeX (chapter4.tex, and main.tex to compile it) and for Word (chapter4.docx).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from wen.files import write_text
from wen.report import statements, thesis, word
from wen.report.blocks import WIDTH, Block, Heading, Note, Paragraph, Placed
from wen.report.language import Text
from wen.report.tables import Table

CM_PER_INCH = 2.54


def write(
    content: Mapping[str, Any], tables: Mapping[str, Table], figures: Mapping[str, Figure], folder: Path, t: Text
) -> None:
    """Write chapter4.tex, main.tex and chapter4.docx beside the folders ``tables`` and ``figures``.

    Parameters
    ----------
    content : mapping
        The variables of the page's templates.
    tables : mapping of name to Table
    figures : mapping of name to Figure
        Only their sizes are used; their files exist already.
    folder : Path
        The report's folder.
    t : Text
    """
    blocks = list(_blocks(content, tables, figures, t))
    draft = t("chapter.draft", study=content["evidence"]["study"])
    write_text(folder / "chapter4.tex", thesis.chapter(blocks, draft, t))
    write_text(folder / "main.tex", thesis.document(t))
    word.write(blocks, draft, folder, t)


def _blocks(
    content: Mapping[str, Any], tables: Mapping[str, Table], figures: Mapping[str, Figure], t: Text
) -> Iterator[Block]:
    evidence = content["evidence"]
    margin = t.margin(evidence["margin"])

    def table(name: str) -> Placed:
        return Placed("tab", name, tables[name].caption, tables[name])

    def figure(name: str, caption: str) -> Placed:
        width, height = (CM_PER_INCH * side for side in figures[name].get_size_inches().tolist())
        scale = min(1.0, WIDTH / width)
        return Placed("fig", name, caption, width=scale * width, height=scale * height)

    yield Heading(t("chapter.data"))
    yield Paragraph(_data(content, t))

    yield Heading(t("chapter.single"))
    baselines = t("chapter.single.baselines") if content["params"].baselines else ""
    yield Paragraph(t("chapter.single.text", baselines=baselines))
    yield from (table("average"), table("single"))
    yield Paragraph(statements.rates(evidence, t))
    yield from (figure("rates", t("figure.rates")), figure("learning", t("figure.learning")))

    yield Heading(t("chapter.ensemble"))
    yield Paragraph(t("chapter.ensemble.text"))
    if evidence["reading"] == "as_written":
        yield Paragraph(t("chapter.ensemble.as_written"))
    yield from (table("champion"), table("weight"), table("ensemble"))
    yield Paragraph(statements.ensemble(evidence, content["names"], t))
    yield figure("forest", t("figure.forest"))
    yield figure("differences", t("figure.differences", margin=margin))

    yield Heading(t("chapter.scheme"))
    control = statements.weighting(evidence, len(evidence["control"]["rows"]), t)
    yield Paragraph(_joined(t("chapter.scheme.text"), control))
    yield figure("schemes", t("figure.schemes"))

    yield Heading(t("chapter.focus"))
    yield Paragraph(_focus(content, t))
    yield from (figure("confusion", t("figure.confusion")), figure("roc", t("figure.roc")))

    yield Heading(t("chapter.tests"))
    runs = statements.runs(evidence, len(content["params"].lr_grid), t)
    yield Paragraph(_joined(t("chapter.tests.text"), runs))
    rules = statements.rules(evidence, content["params"].weighting, t)
    yield Paragraph(_joined(statements.independence(evidence, t), rules))
    for key in statements.HYPOTHESES:
        verdict = t(f"verdict.{evidence['hypotheses'][key]['verdict']}")
        yield Paragraph(f"{t(key).removesuffix('.')}: {verdict}. {statements.hypothesis(key, evidence, t)}")
    yield table("test")

    if evidence["systems"]:
        yield Heading(t("chapter.systems"))
        yield Paragraph(t("chapter.systems.text"))
        caption = t("figure.systems.synthetic") if content["synthetic"] else t("figure.systems")
        yield from (table("systems"), figure("systems", caption))

    yield Heading(t("chapter.discussion"))
    yield Note(t("chapter.discussion.difference", margin=margin))
    yield Note(t("chapter.discussion.undecided"))
    yield Note(t("chapter.discussion.limits"))


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _data(content: Mapping[str, Any], t: Text) -> str:
    test = content["split"]["test"]
    sentence = t(
        "chapter.data.text",
        images=t.count(test["images"]),
        of_subjects=t.of_subjects(test["subjects"]),
        positives=t.count(test["positive"]),
        negatives=t.count(test["negative"]),
        division=statements.division(content["split"]["unit"], content["split"]["test_set"], t),
    )
    synthetic = t("synthetic") if content["synthetic"] else ""
    not_searched = t("copies.not_searched") if content["dataset"]["copies"]["near"] is None else ""
    absent = statements.one_class(content["study"].absent_class, t)
    return _joined(sentence, absent, synthetic, statements.leaks(content["split"], t), not_searched)


def _focus(content: Mapping[str, Any], t: Text) -> str:
    focus = content["focus"]
    row = focus.row
    low, high = (t.number(limit) for limit in content["evidence"]["intervals"][focus.id]["accuracy"])
    counts = {key: t.count(row[key]) for key in ("fn", "fp")}
    sentence = t(
        "chapter.focus.text",
        focus=content["names"][focus.id],
        low=low,
        high=high,
        positives=t.count(row["fn"] + row["tp"]),
        negatives=t.count(row["fp"] + row["tn"]),
        **{measure: t.stated(row[measure]) for measure in ("accuracy", "kappa", "auc")},
        **counts,
    )
    return _joined(sentence, statements.optimism(content["study"], t))
