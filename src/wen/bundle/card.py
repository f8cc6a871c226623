"""README.md of a bundle: a model card that the Hugging Face Hub reads."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wen.config.params import Params
from wen.evaluation.metrics import MEASURES


def written(content: dict[str, Any], params: Params) -> str:
    """Write the card of a bundle from its classifier.json."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: "undefined" if value is None else f"{value:.3f}"
    return environment.get_template("card.md").render(content, params=params, measures=MEASURES)
