"""README.md of a bundle: a model card that the Hugging Face Hub reads, in the report's language."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wen import markdown
from wen.config.params import Params
from wen.evaluation.metrics import MEASURES
from wen.report.language import Text
from wen.report.statements import division


def written(content: dict[str, Any], params: Params) -> str:
    """Write the card of a bundle from its classifier.json."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    t = Text(params.report.language)
    environment.filters |= {
        "number": t.number,
        "count": t.count,
        "plain": lambda value: t.marked(str(value)),
        "markdown": markdown.plain,
    }
    unit, test_set = content["data"]["split"], params.split.test
    divided = {"division": division(unit, test_set, t), "division_for_hub": division(unit, test_set, Text("en"))}
    single = content["classifier"].startswith("single")
    chosen = single and (params.ensemble, params.reading) == ("single", "as_written")
    return environment.get_template(f"card_{t.language}.md").render(
        content, params=params, measures=MEASURES, t=t, **divided,
        scaled=params.calibration == "temperature" and not single,
        optimistic=chosen or content["classifier"].startswith("intra as_written"),
    )  # fmt: skip
