"""The report's texts, all from texts.yaml, in the language of params.yaml's ``report.language``."""

from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from wen.config.member import Member
from wen.results import Classifier, Study


class Text:
    """Look up texts by their key: ``text("answer.lr", lr=0.001)``.

    Parameters
    ----------
    language : str
        ``en`` or ``id``.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self.catalogue = catalogue()

    def __call__(self, key: str, /, **values: Any) -> str:
        return self.catalogue[key][self.language].format(**values)

    def names(self, study: Study) -> dict[str, str]:
        """Name each classifier, and the average of each recipe's single models, by id."""
        averages = {f"average {recipe}": self.recipe(recipe) for recipe in study.averages}
        return {classifier.id: self.name(classifier) for classifier in study.classifiers} | averages

    def recipe(self, recipe: str) -> str:
        """What a learning rate or a baseline is called."""
        name = Member(recipe, 0).baseline
        return self("name.baseline", name=name) if name else self("name.average", lr=recipe)

    def name(self, classifier: Classifier) -> str:
        """Name a classifier."""
        about = {key: getattr(classifier, key) for key in ("fold", "scheme", "reading")}
        if classifier.kind == "single":
            return self("name.single", recipe=self.recipe(str(classifier.recipe)), **about)
        return self(f"name.{classifier.kind}", lr=classifier.recipe, **about)


def catalogue() -> dict[str, dict[str, str]]:
    """Read every text in every language."""
    content: dict[str, dict[str, str]] = _yaml("texts.yaml")
    return content


def checklist() -> list[dict[str, Any]]:
    """Read the items of the reporting guidelines, filled (as templates) or open."""
    content: list[dict[str, Any]] = _yaml("checklist.yaml")
    return content


def _yaml(name: str) -> Any:
    return YAML(typ="safe").load(files("wen.report").joinpath(name).read_text(encoding="utf-8"))
