"""The pairs of copies for the page, from the pictures of stage ``prepare``; the images themselves are not read."""

from typing import Any

from wen.config.paths import Paths
from wen.files import read_json
from wen.report.hard_cases import png_uri
from wen.report.language import Text


def read(paths: Paths) -> dict[str, Any]:
    """Read the pictures of pairs, the most doubtful pairs last.

    Returns
    -------
    dict
        ``pairs``: rows of data/copies.csv with the ``subjects`` and ``labels`` of both images, and the picture as a
        data URI, ``image``; ``rest``: the number of pairs without a picture.
    """
    drawn: dict[str, Any] = read_json(paths.copies_plots / "pairs.json")
    for pair in drawn["pairs"]:
        pair["image"] = png_uri((paths.copies_plots / pair["picture"]).read_bytes())
    return drawn


def by_subjects(dataset: dict[str, Any], t: Text) -> list[dict[str, Any]]:
    """Count the exact and near copies of each pair of subjects, named in the page's language, the most copies first."""
    exact, near = ((dataset["copies"][kind] or {}).get("pairs_by_subjects") or {} for kind in ("exact", "near"))
    rows = [
        {"subjects": _named(pair, t), "exact": exact.get(pair, 0), "near": near.get(pair, 0)}
        for pair in sorted({*exact, *near})
    ]
    return sorted(rows, key=lambda row: -row["exact"] - row["near"])


def _named(pair: str, t: Text) -> str:
    """Join two ids by the language's word for "and"; return the pair unchanged if an id contains the English word."""
    return t("answer.and").join(pair.split(" and ")) if pair.count(" and ") == 1 else pair
