"""Write the grid of learning rates to params.yaml and dvc.yaml.

dvc.yaml cannot express "every rate of ``lr_grid``, and ``lr``". It names the first k and the last k rates of the list,
which covers every grid of k to 2k rates; DVC drops the duplicates.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import parse
from wen.errors import WenError
from wen.files import write_text

PLACE = r"\$\{lr_grid\[(-?\d+)\]\}"
IN_A_LINE = re.compile(rf'"{PLACE}"(, "{PLACE}")*')
LINES = re.compile(rf"(?m)^(?P<before> *- [^\n]*){PLACE}(?P<after>[^\n]*)\n((?P=before){PLACE}(?P=after)\n)*")
LIST = re.compile(r"(?m)^lr_grid:\s*(\[([^]#]|#.*$)*\]|((\s*#.*$)*\s*\n *- .*)+)")
"""The list in brackets or in lines, with the comments between its rates."""


def check(params: Params, paths: Paths) -> None:
    """Raise `WenError` unless dvc.yaml refers to exactly the learning rates of the grid."""
    if not paths.dvc.is_file():
        return
    number = len(params.lr_grid)
    places = {int(place) for place in re.findall(PLACE, paths.dvc.read_text(encoding="utf-8"))}
    reached = {place % number for place in places if -number <= place < number}
    if reached != set(range(number)) or not places <= set(range(-number, number)):
        rates = " ".join(params.grid)
        raise WenError(
            f"params.yaml: lr_grid has {number} rates, and dvc.yaml is written for another number; run `wen grid "
            f"{rates}`"
        )


def write(rates: Sequence[float], paths: Paths) -> None:
    """Write a grid to params.yaml, and the references to its rates to dvc.yaml.

    Raises
    ------
    WenError
        If there is no study here, or params.yaml would be invalid with this grid; nothing is written then.
    """
    for file in (paths.params, paths.dvc):
        if not file.is_file():
            raise WenError(f"{file}: no such file; run this in the project's folder")
    text = paths.params.read_text(encoding="utf-8")
    listed = ", ".join(format(Decimal(repr(rate)), "f") for rate in rates)
    new, found = LIST.subn(f"lr_grid: [{listed}]", text)
    if found != 1:
        raise WenError(f"{paths.params}: no list lr_grid; write it as lr_grid: [0.001, 0.0001, 0.00001]")
    parse(new, paths.params)
    half = max(2, -(-len(rates) // 2))
    places = [f"${{lr_grid[{place}]}}" for place in (*range(half), *range(-half, 0))]

    def in_lines(match: re.Match[str]) -> str:
        return "".join(f"{match['before']}{place}{match['after']}\n" for place in places)

    stages = LINES.sub(in_lines, paths.dvc.read_text(encoding="utf-8"))
    write_text(paths.dvc, IN_A_LINE.sub(", ".join(f'"{place}"' for place in places), stages))
    write_text(paths.params, new)
    print(
        f"Wrote {len(rates)} learning rates to params.yaml and dvc.yaml. `dvc repro` trains the new ones. Grids of "
        f"{half} to {min(2 * half, 8)} rates can now be set in params.yaml alone."
    )
