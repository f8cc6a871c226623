"""Measure the study against what people would otherwise write: make bench [SAMPLE=path/to/real/cells.zip]

Every peer is installed in a separate environment from its pinned requirements in bench/peers, except plain timm, which
needs exactly the study's packages. Equal results are asserted before a time is accepted. Writes bench/RESULTS.md.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import network
import pipeline
import torch
from joblib import cpu_count
from table import Row, limits, markdown

BENCH = Path(__file__).parent
ENVIRONMENTS = BENCH / ".environments"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=Path, help="a folder or zip of C-NMC 2019, complete or a part")
    options = parser.parse_args()
    for peer in ("keras", "openvino"):
        _install(peer)
    begin, rate = time.perf_counter(), matrix_product_rate()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [network.frozen_forward(ENVIRONMENTS), network.training(ENVIRONMENTS), pipeline.demo(folder)]
        cases += [pipeline.classified(folder), pipeline.memory(folder), pipeline.published(folder)]
        if options.sample:
            cases.append(pipeline.laptop(folder, options.sample.resolve(), ENVIRONMENTS))
        for case in cases:
            for row in case:
                rows.append(row)
                print(f"{time.perf_counter() - begin:4.0f} s  {' | '.join(row.cells())}", flush=True)
    text = _page(rows, rate, time.perf_counter() - begin, options.sample is not None)
    (BENCH / "RESULTS.md").write_text(text, encoding="utf-8")


def matrix_product_rate(n: int = 2048, repeats: int = 10) -> float:
    """Return the G multiply-adds per second of a float32 matrix product, the upper limit for a network."""
    a, b = torch.rand(n, n), torch.rand(n, n)
    best = min(network.seconds(torch.mm, a, b) for _ in range(repeats))
    return n**3 / best / 1e9


def _install(peer: str) -> None:
    folder, requirements = ENVIRONMENTS / peer, BENCH / f"peers/{peer}.txt"
    if (folder / "installed").exists() and (folder / "installed").read_text() == requirements.read_text():
        return
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements]
    subprocess.run(pip, check=True)
    (folder / "installed").write_text(requirements.read_text())


def _page(rows: list[Row], rate: float, seconds: float, sample: bool) -> str:
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    commit = subprocess.run(
        ["git", "-C", BENCH, "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    )
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "timm", "openvino", "dvc"))
    command = "make bench SAMPLE=..." if sample else "make bench"
    return f"""# Speed of the study and of other code for the same work

Written by `{command}` in {seconds / 60:.1f} minutes at {commit.stdout.strip()},
on {cpu_count()} cores of {processor}, Python {platform.python_version()},
{versions}.
A float32 matrix product reaches {rate:.0f} G multiply-adds a second.

Stages 1 and 2 and prediction use EfficientNetV2-M at 128 px in batches of 64 on 200 cells: 128 for training, 32 for
validation, 40 for testing. One epoch, one view of the 160 development images and one model are measured, and multiplied
up to the complete study.

A ratio is the peer's time or memory divided by the study's: above 1, the study needs less. It is that of the medians;
its spread is from the least to the most favourable pair of single measurements. Losses, outputs and probabilities are
compared before a time is accepted (tolerances in bench/network.py). The ratio of multiply-adds is the gain from sharing
computations; a higher ratio comes from a faster engine. Compare the last column with the rate of the matrix product.

{markdown(rows)}
For each missed goal, the part of the study's work that cannot be avoided, measured separately, and the ratio that the
study would reach if everything else took no time:

{limits(rows)}"""


if __name__ == "__main__":
    main()
