"""The texts and number formats of the report, in the language of params.yaml's ``report.language``."""

import math
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files
from numbers import Integral
from typing import Any

from ruamel.yaml import YAML

from wen.config.member import SYSTEM, Member
from wen.evaluation.statistics import ALPHA
from wen.study import Classifier, Study

ABSENT = "\N{EN DASH}"
MOST_DIGITS = 12
"""After the decimal mark of a share."""


class Text:
    """Look up texts by their key: ``text("answer.lr", lr=0.001)``.

    Parameters
    ----------
    language : str
        ``en`` or ``id``.
    classes : sequence of str
        Names of the negative and the positive class, ``{negative}`` and ``{positive}`` in the texts.

    Notes
    -----
    Integers among the values of a text get the thousands mark of the language.
    """

    def __init__(self, language: str, classes: Sequence[str] = ("HEM", "ALL")) -> None:
        self.language, self.classes = language, tuple(classes)
        self.catalogue = catalogue()

    def __call__(self, key: str, /, **values: Any) -> str:
        negative, positive = self.classes
        shown = {name: self.count(value) if isinstance(value, Integral) else value for name, value in values.items()}
        return self.catalogue[key][self.language].format(**{"negative": negative, "positive": positive} | shown)

    def of_subjects(self, subjects: int | None) -> str:
        """State the number of subjects; empty if it is unknown."""
        if subjects is None:
            return ""
        return self("of_one_subject") if subjects == 1 else self("of_subjects", subjects=self.count(subjects))

    def people(self, number: int | None) -> str:
        """Count people, in words if their number is unknown."""
        if number is None:
            return self("people.unknown")
        return self("people.one") if number == 1 else self("people.many", people=self.count(number))

    def number(self, value: float | None, digits: int | None = None) -> str:
        """Format a number, without a minus before zero; a dash if it is undefined.

        Without ``digits``, it has three after the point, and more if it would be 0, 1 or -1 by rounding alone.
        """
        if value is None or math.isnan(value):
            return ABSENT
        return self.marked(f"{value:z,.{_between_0_and_1(abs(value), 3) if digits is None else digits}f}")

    def stated(self, value: float | None) -> str:
        """Format a measure in a sentence; a word if it is undefined."""
        return self("undefined") if value is None or math.isnan(value) else self.number(value)

    def between(self, limits: Sequence[float | None], digits: int = 2) -> str:
        """Format an interval with a dash, or a word if a limit is negative; a dash alone if a limit is undefined."""
        low, high = (self.number(limit, digits) for limit in limits)
        if ABSENT in (low, high):
            return ABSENT
        return f"{low} {self('to')} {high}" if "-" in low + high else f"{low}{ABSENT}{high}"

    def limits(self, low: str, high: str) -> str:
        """Join two formatted limits; in Indonesian with a semicolon, because the comma is the decimal mark."""
        return f"{low}; {high}" if self.language == "id" else f"{low}, {high}"

    def points(self, value: float) -> str:
        """Format a difference in percentage points, with its sign, and more digits if it would be 0 by rounding alone.

        One of 2,506 images is 0.04 points. No difference has no sign.
        """
        digits = next((more for more in range(1, MOST_DIGITS) if round(100 * float(value), more)), 0)
        return self.marked(f"{100 * value:+.{digits}f}" if digits else f"{100 * value:z.1f}")

    def p(self, value: float) -> str:
        """Format a p-value, with more digits if it is below 5% and would be 0.050 by rounding alone."""
        digits = next((more for more in range(3, MOST_DIGITS) if (value < ALPHA) == (round(value, more) < ALPHA)), 3)
        return self.marked("< 0.001" if value < 0.001 else f"{value:.{digits}f}")

    def p_is(self, value: float) -> str:
        """Format a p-value to follow its symbol in a sentence: "= 0.520", or "< 0.001"."""
        return self.p(value) if value < 0.001 else f"= {self.p(value)}"

    def percent(self, value: float, digits: int = 0) -> str:
        """Format a share in percent, with more digits if it would be 0% or 100% by rounding alone."""
        if math.isnan(value):
            return ABSENT
        return self.marked(f"{value:.{_between_0_and_1(value, digits + 2) - 2}%}")

    def threshold(self, value: float | None) -> str:
        """Format a threshold; none is reached above 1."""
        return f"> {self.given(1)}" if value is not None and value > 1 else self.number(value)

    def given(self, value: float) -> str:
        """Format a parameter with all the digits that params.yaml gives."""
        return self.marked(f"{value:.15g}")

    def margin(self, value: float) -> str:
        """Format a margin in percentage points with all its digits, at least one after the point."""
        digits = f"{100 * value:.12g}"
        return self.marked(digits if "." in digits or "e" in digits else f"{digits}.0")

    def count(self, value: int | Integral) -> str:
        return self.marked(f"{value:,}")

    def marked(self, text: str) -> str:
        """Replace the English decimal and thousands marks of a number by those of the language."""
        return text.translate(str.maketrans(",.", ".,")) if self.language == "id" else text

    def names(self, study: Study) -> dict[str, str]:
        """Name each classifier, the average of each recipe's single models, and each scheme over ensembles, by id."""
        averages = {f"average {recipe}": self.recipe(recipe) for recipe in study.averages}
        schemes = {f"scheme {name}": self("name.scheme", scheme=self.scheme(name)) for name in study.params.schemes}
        weighted = [classifier for pair in study.over_networks for classifier in pair]
        names = {classifier.id: self.name(classifier) for classifier in (*study.classifiers, *weighted)}
        return names | averages | schemes

    def question(self, test: dict[str, Any]) -> str:
        """Name what a test is about: its hypothesis, or the supplementary question of its family."""
        if test["hypothesis"] == "H1" and not test["decides"]:
            return self("questions.family.champions")
        if test["family"] in ("best_on_test", "networks", "schemes"):
            return self(f"questions.family.{test['family']}")
        return str(test["hypothesis"])

    def scheme(self, name: str) -> str:
        """Name a weighting scheme; one that was added to `wen.ensemble.weights.SCHEMES` keeps its name."""
        return self(f"scheme.{name}") if f"scheme.{name}" in self.catalogue else name

    def rate(self, rate: float | str) -> str:
        """Write a learning rate as a power of ten: 0.0005 as 5e-4, which `wen.report.typography` typesets."""
        shortest = Decimal(repr(float(rate))).normalize()
        return self.marked(f"{shortest:e}" if shortest < 1 else f"{shortest:f}")

    def member(self, name: str) -> str:
        """Name a member by its learning rate and fold; ``name`` is that of `wen.config.member.Member`."""
        lr, _, fold = name.rpartition("-")
        return self("name.member", lr=self.rate(lr), fold=fold)

    def recipe(self, recipe: str) -> str:
        """Name a learning rate or a baseline."""
        name = Member(recipe, 0).baseline
        return self("name.baseline", name=name) if name else self("name.average", lr=self.rate(recipe))

    def row(self, row: dict[str, Any]) -> str:
        """Name a row of `wen.report.summary.summary`."""
        if row["role"] in ("rate", "baseline"):
            return self(f"role.{row['role']}", name=self.recipe(row["recipe"]))
        if row["role"] == "system":
            return self("role.system", name=self.system(row["recipe"].removeprefix(SYSTEM)))
        return self(f"role.{row['role']}")

    def system(self, name: str) -> str:
        """Name a published system by its study, such as Baby 2022; one that is not in systems.yaml keeps its name."""
        known = {entry["name"]: entry["study"] for entry in _yaml("systems.yaml")}
        return str(known.get(name, name))

    def baseline(self, id: str) -> str:
        """Describe a baseline: the majority class, or a classical classifier by its recipe; else name it."""
        name = id.rsplit("/", 1)[-1]
        return self(f"baselines.of.{name}") if f"baselines.of.{name}" in self.catalogue else self.recipe(id)

    def name(self, classifier: Classifier) -> str:
        """Name a classifier."""
        if classifier.kind == "single":
            return self("name.single", recipe=self.recipe(str(classifier.recipe)), fold=classifier.fold)
        if classifier.kind == "system":
            name, variant = classifier.members[0].member.system or ("", "")
            return self("name.system", name=self.system(name), variant=variant)
        scheme = self.scheme(str(classifier.scheme))
        if classifier.kind == "inter":
            return self("name.inter", lr=self.rate(str(classifier.recipe)), scheme=scheme)
        return self("name.intra", scheme=scheme, reading=classifier.reading)


def _between_0_and_1(share: float, digits: int) -> int:
    """Digits with which a share that is neither 0 nor 1 is not rounded to either."""
    enough = range(digits, MOST_DIGITS) if 0 < share < 1 else ()
    return next((more for more in enough if round(float(share), more) not in (0, 1)), digits)


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Read all texts in all languages from texts/, which has a file for each section of the page."""
    content: dict[str, dict[str, str]] = {}
    for file in sorted(files("wen.report").joinpath("texts").iterdir(), key=lambda file: file.name):
        texts = _yaml(f"texts/{file.name}")
        if twice := content.keys() & texts.keys():
            raise ValueError(f"{file.name}: {', '.join(sorted(twice))} is in another file, too")
        content |= texts
    return content


def listed(name: str, language: str) -> list[dict[str, Any]]:
    """Read a list of entries from a YAML file of this package, with its texts in one language.

    Parameters
    ----------
    name : str
        Such as ``errata.yaml``.
    language : str
        ``en`` or ``id``.
    """
    entries: list[dict[str, Any]] = _in_language(_yaml(name), language)
    return entries


def _in_language(value: Any, language: str) -> Any:
    if isinstance(value, list):
        return [_in_language(part, language) for part in value]
    if isinstance(value, dict):
        if language in value:
            return value[language]
        return {key: _in_language(part, language) for key, part in value.items()}
    return value


@cache
def _yaml(name: str) -> Any:
    return YAML(typ="safe").load(files("wen.report").joinpath(name).read_text(encoding="utf-8"))
