"""The report's texts and how it writes numbers, in the language of params.yaml's ``report.language``."""

import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from wen.config.member import SYSTEM, Member
from wen.study import Classifier, Study

ABSENT = "\N{EN DASH}"


class Text:
    """Look up texts by their key: ``text("answer.lr", lr=0.001)``.

    Parameters
    ----------
    language : str
        ``en`` or ``id``.
    classes : sequence of str
        Names of the negative and the positive class, ``{negative}`` and ``{positive}`` in the texts.
    """

    def __init__(self, language: str, classes: Sequence[str] = ("HEM", "ALL")) -> None:
        self.language, self.classes = language, tuple(classes)
        self.catalogue = catalogue()

    def __call__(self, key: str, /, **values: Any) -> str:
        negative, positive = self.classes
        return self.catalogue[key][self.language].format(**{"negative": negative, "positive": positive} | values)

    def of_subjects(self, subjects: int | None) -> str:
        """Say of how many subjects images are; nothing if it is not known."""
        return "" if subjects is None else self("of_subjects", subjects=self.count(subjects))

    def number(self, value: float | None, digits: int = 3) -> str:
        """Write a number, or a dash for one that is undefined."""
        return ABSENT if value is None or math.isnan(value) else self.marked(f"{value:,.{digits}f}")

    def between(self, limits: Sequence[float | None], digits: int = 2) -> str:
        """Write two limits with a dash between them, or a word beside a minus; a dash alone if one is undefined."""
        low, high = (self.number(limit, digits) for limit in limits)
        if ABSENT in (low, high):
            return ABSENT
        return f"{low} {self('to')} {high}" if "-" in low + high else f"{low}{ABSENT}{high}"

    def points(self, value: float) -> str:
        """Write a difference in percentage points."""
        return self.marked(f"{100 * value:+.1f}")

    def p(self, value: float) -> str:
        return self.marked("< 0.001" if value < 0.001 else f"{value:.3f}")

    def p_is(self, value: float) -> str:
        """What follows the name of a p-value in a sentence: "= 0.520", or "< 0.001"."""
        return self.p(value) if value < 0.001 else f"= {self.p(value)}"

    def percent(self, value: float, digits: int = 0) -> str:
        return ABSENT if math.isnan(value) else self.marked(f"{value:.{digits}%}")

    def given(self, value: float) -> str:
        """Write a number of params.yaml, with all its digits."""
        return self.marked(f"{value:g}")

    def count(self, value: int) -> str:
        return self.marked(f"{value:,}")

    def marked(self, text: str) -> str:
        """Put the decimal and thousands marks of the language into a number written the English way."""
        return text.translate(str.maketrans(",.", ".,")) if self.language == "id" else text

    def names(self, study: Study) -> dict[str, str]:
        """Name each classifier, the average of each recipe's single models, and each scheme over ensembles, by id."""
        averages = {f"average {recipe}": self.recipe(recipe) for recipe in study.averages}
        schemes = {f"scheme {scheme}": self("name.scheme", scheme=scheme) for scheme in study.params.schemes}
        weighted = [classifier for pair in study.over_networks for classifier in pair]
        return {own.id: self.name(own) for own in (*study.classifiers, *weighted)} | averages | schemes

    def question(self, test: dict[str, Any]) -> str:
        """What a test of metrics/evidence.json is about: its hypothesis, or a part of it that decides nothing."""
        if test["hypothesis"] == "H1" and not test["decides"]:
            return self("runs.thesis")
        if test["family"] in ("best_on_test", "networks", "schemes"):
            return self(f"questions.family.{test['family']}")
        return str(test["hypothesis"])

    def recipe(self, recipe: str) -> str:
        """What a learning rate or a baseline is called."""
        name = Member(recipe, 0).baseline
        return self("name.baseline", name=name) if name else self("name.average", lr=recipe)

    def row(self, row: dict[str, Any]) -> str:
        """Name a row of `wen.report.summary.summary`."""
        if row["role"] in ("rate", "baseline"):
            return self(f"role.{row['role']}", name=self.recipe(row["recipe"]))
        if row["role"] == "system":
            return self("role.system", name=self.system(row["recipe"].removeprefix(SYSTEM)))
        return self(f"role.{row['role']}")

    def system(self, name: str) -> str:
        """What a published system is called, such as Baby 2022; one that systems.yaml does not have, by its name."""
        known = {entry["name"]: entry["study"] for entry in _yaml("systems.yaml")}
        return str(known.get(name, name))

    def baseline(self, id: str) -> str:
        """What a baseline does: the majority class, a classical classifier by its recipe; else its name."""
        name = id.rsplit("/", 1)[-1]
        return self(f"baselines.of.{name}") if f"baselines.of.{name}" in self.catalogue else self.recipe(id)

    def name(self, classifier: Classifier) -> str:
        """Name a classifier."""
        about = {key: getattr(classifier, key) for key in ("fold", "scheme", "reading")}
        if classifier.kind == "single":
            return self("name.single", recipe=self.recipe(str(classifier.recipe)), **about)
        if classifier.kind == "system":
            name, variant = classifier.members[0].member.system or ("", "")
            return self("name.system", name=self.system(name), variant=variant)
        return self(f"name.{classifier.kind}", lr=classifier.recipe, **about)


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Read every text in every language, from texts/, a file for each section of the page."""
    content: dict[str, dict[str, str]] = {}
    for file in sorted(files("wen.report").joinpath("texts").iterdir(), key=lambda file: file.name):
        texts = _yaml(f"texts/{file.name}")
        if twice := content.keys() & texts.keys():
            raise ValueError(f"{file.name}: {', '.join(sorted(twice))} is in another file, too")
        content |= texts
    return content


def listed(name: str, language: str) -> list[dict[str, Any]]:
    """Read a list of entries from a YAML file of this package; of every text in several languages, take one.

    Parameters
    ----------
    name : str
        Such as ``errata.yaml``.
    language : str
        ``en`` or ``id``.
    """
    found: list[dict[str, Any]] = _in(_yaml(name), language)
    return found


def _in(value: Any, language: str) -> Any:
    if isinstance(value, list):
        return [_in(part, language) for part in value]
    if isinstance(value, dict):
        return value[language] if language in value else {key: _in(part, language) for key, part in value.items()}
    return value


@cache
def _yaml(name: str) -> Any:
    return YAML(typ="safe").load(files("wen.report").joinpath(name).read_text(encoding="utf-8"))
