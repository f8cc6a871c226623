"""The command line: one command for each stage of dvc.yaml, and what a person needs around them."""

import os
import re
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from wen import code, installed, times
from wen.config.member import Member
from wen.config.params import Params, load
from wen.config.paths import Paths
from wen.config.stages import STAGES
from wen.errors import Message, WenError

app = typer.Typer(
    help="Weighted ensembles of EfficientNets on leukaemic blasts: a reproducible study.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

LR = Annotated[float, typer.Option(help="Learning rate, one of params.yaml's.")]
Fold = Annotated[int, typer.Option(help="Fold that validates, from 0.")]
Device = Annotated[str, typer.Option(envvar="WEN_DEVICE", help="auto, cuda, cuda:1, mps or cpu.", show_default=True)]


NO_MEMORY = r"out of memory|allocate.* memory|bad_alloc|alloc_failed|can't start new thread|failed to map segment"

MEMORY: Message = (
    "not enough memory. The experiment stays as it is if you end what else runs here or train fewer models at once "
    "(wen run --jobs 1). Otherwise lower train.batch_size or images.size"
)
GPU_MEMORY: Message = (
    "not enough memory on the GPU. The experiment stays as it is if you end what else runs there (see nvidia-smi), "
    "train one model a GPU (wen run --gpus-per-job 1), or set compute.precision: auto (half of float32's) or "
    "features.activations: true (the frozen part then runs once). Otherwise lower train.batch_size or images.size"
)


def main() -> None:
    """Run the command line; what a person can mend becomes one message and exit code 1."""
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a file's name can be any bytes
    try:
        app(prog_name="wen")  # not "python -m wen", by which a shell would not know what it completes
    except WenError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}; no output is half written")
    except (ImportError, MemoryError, RuntimeError) as error:  # which of them depends on who asks for memory
        if not isinstance(error, MemoryError) and not re.search(NO_MEMORY, str(error), re.IGNORECASE):
            raise
        found = " ".join(str(error).split())[:200]
        _fail(f"{GPU_MEMORY if re.search('CUDA|HIP|MPS', found) else MEMORY} ({found})")


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def _print_release(wanted: bool) -> None:
    if wanted:
        print(installed.described())
        raise typer.Exit


@app.callback()
def _before(
    context: typer.Context,
    release: Annotated[
        bool, typer.Option("--version", callback=_print_release, is_eager=True, help="Print release, commit and place.")
    ] = False,
) -> None:
    stage = context.invoked_subcommand
    if stage in STAGES:
        if "DVC_STAGE" in os.environ:
            code.check(stage if stage != "system" else os.environ["DVC_STAGE"].replace("@", "/"), Paths())
        context.call_on_close(times.clock(Paths(), stage))


def _study() -> tuple[Params, Paths]:
    paths = Paths()
    return load(paths.params), paths


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    profile: Annotated[str, typer.Option(help="demo, thesis, honest or laptop: what params.yaml begins as.")] = "demo",
) -> None:
    """Make a new study in a folder of its own, as a git and DVC repository."""
    from wen import init

    init.run(folder, profile)


@app.command()
def study(
    data: Annotated[
        Path, typer.Argument(help="A folder or zip: C-NMC 2019 as TCIA or Kaggle gives it, or images of your own.")
    ],
    profile: Annotated[str, typer.Option(help="thesis, honest or laptop.")] = "thesis",
    incomplete: Annotated[bool, typer.Option("--incomplete", help="Accept a part of C-NMC.")] = False,
    table: Annotated[Path | None, typer.Option(help="CSV of images, labels and subjects.")] = None,
    classes: Annotated[
        tuple[str, str] | None, typer.Option(help="Negative and positive class, by folder or label.")
    ] = None,
    positive: Annotated[str | None, typer.Option(help="Positive class, if its name does not tell.")] = None,
    name: Annotated[str | None, typer.Option(help="What the report calls the data (default: the folder).")] = None,
    subject: Annotated[
        str | None, typer.Option(help=r"Regular expression; its group in a path is the subject, e.g. 'P(\d+)_'.")
    ] = None,
) -> None:
    """Bring images under data/raw, check them, and put a profile in place as params.yaml."""
    from wen.data import bring, recognise

    about = recognise.About(table, classes, positive, name, subject)
    bring.run(data, profile, incomplete, Paths(), about)


@app.command()
def check() -> None:
    """Check params.yaml."""
    from wen.integrity.check import check

    check(*_study())
    print("params.yaml is valid")


@app.command()
def doctor() -> None:
    """Look at what a study needs here, and say what to do where something is missing."""
    from wen import doctor

    doctor.run(Paths())


@app.command("grid")
def write_grid(
    rates: Annotated[list[float], typer.Argument(help="Two to eight learning rates.")],
) -> None:
    """Write the learning rates to compare into params.yaml and dvc.yaml."""
    from wen.config import grid

    grid.write(rates, Paths())


@app.command()
def plan(
    file: Annotated[Path, typer.Option("--params", help="A params.yaml or a profile.")] = Path("params.yaml"),
    calibrate: Annotated[bool, typer.Option(help="Run the network for a moment to tell hours.")] = True,
    device: Device = "auto",
) -> None:
    """Say what the study will cost, before anything runs."""
    from wen import plan

    plan.run(load(file), Paths(), calibrate, device)


@app.command("code")
def list_inputs() -> None:
    """Check params.yaml and outputs, and list the code, libraries, images and weights that the stages depend on."""
    from wen.integrity import outside, verify
    from wen.integrity.check import check

    params, paths = _study()
    check(params, paths)
    if damaged := verify.check(paths):
        print(f"damaged, so restored or made again: {verify.listed(damaged)}", file=sys.stderr)
    code.run(paths)
    outside.run(params, paths)


@app.command()
def prepare() -> None:
    """Check every image and list them in data/index.csv."""
    from wen.data import prepare

    prepare.run(*_study())


@app.command()
def split() -> None:
    """Divide the images into test and folds, and audit what leaks."""
    from wen.data import split

    split.run(*_study())


@app.command()
def backbone() -> None:
    """Fetch the pretrained weights."""
    from wen.network import pretrained

    pretrained.run(*_study())


@app.command()
def features(device: Device = "auto") -> None:
    """Run the frozen network once for all models."""
    from wen.network import features

    features.run(*_study(), device)


@app.command()
def baselines(device: Device = "auto") -> None:
    """Fit the classical classifiers and write their probabilities."""
    from wen.members import classical

    classical.run(*_study(), device)


@app.command()
def repeats(device: Device = "auto") -> None:
    """Study the frozen features on many other splits."""
    from wen.repeats import stage

    stage.run(*_study(), device)


@app.command()
def network(
    name: Annotated[str, typer.Argument(help="One of params.yaml's `pretrained`.")], device: Device = "auto"
) -> None:
    """Run a network of the published systems once for all of them."""
    from wen.systems import network

    network.run(*_study(), name, device)


@app.command()
def systems() -> None:
    """List what each published system reads."""
    from wen.systems import inputs

    inputs.run(*_study())


@app.command()
def system(
    name: Annotated[str, typer.Argument(help="One of params.yaml's `systems`.")], device: Device = "auto"
) -> None:
    """Run a published system on this study's images and split."""
    from wen.systems import stage

    stage.run(*_study(), name, device)


@app.command()
def train_fold(lr: LR, fold: Fold, device: Device = "auto") -> None:
    """Train one model in two stages."""
    from wen.members import finetune

    finetune.run(*_study(), Member(str(lr), fold), device)


@app.command()
def predict_fold(lr: LR, fold: Fold, device: Device = "auto") -> None:
    """Write one model's probabilities for its validation fold and the test set."""
    from wen.members import predict

    predict.run(*_study(), Member(str(lr), fold), device)


@app.command()
def ensemble_inter(lr: LR) -> None:
    """Combine the fold models of one learning rate."""
    from wen.ensemble import inter

    inter.run(*_study(), str(lr))


@app.command()
def ensemble_intra() -> None:
    """Combine the champions of the learning rates."""
    from wen.ensemble import intra

    intra.run(*_study())


@app.command()
def report() -> None:
    """Write the headline, the plots and report/index.html."""
    import gc

    from wen.report import page

    gc.freeze()  # else statsmodels searches all that is imported for garbage, at every correction of p-values
    page.run(*_study())


@app.command()
def results() -> None:
    """Print the result table."""
    from wen.report import terminal

    terminal.run(*_study())


class Form(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


@app.command()
def classify(
    sources: Annotated[list[str], typer.Argument(help="Images, folders, patterns, or - for names on standard input.")],
    classifier: Annotated[str | None, typer.Option(help="e.g. 'inter 0.001 kappa'; else the headline's.")] = None,
    form: Annotated[Form | None, typer.Option("--format", help="Else as --output ends, else a table.")] = None,
    output: Annotated[Path | None, typer.Option(help=".csv, .jsonl, .parquet or .txt; else standard output.")] = None,
    members: Annotated[bool, typer.Option("--members", help="Also the probability of each member.")] = False,
    submission: Annotated[Path | None, typer.Option(help="The challenge's file, for images named 1.bmp, ...")] = None,
    device: Device = "auto",
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster to spread the images over: auto, on its node.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="A folder of wen export, in place of a study.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Probability from which on a cell is positive (default: 0.5).")
    ] = None,
    subjects: Annotated[Path | None, typer.Option(help="A CSV of file and subject: an answer for each person.")] = None,
) -> None:
    """Classify images that were not in the study."""
    from wen import classify

    request = classify.Request(
        sources, classifier, form, output, members, submission, device, address, threshold, subjects
    )
    if bundle:
        classify.run_bundle(bundle, request)
    else:
        classify.run(*_study(), request)


@app.command()
def export(
    bundle: Annotated[Path, typer.Argument(help="The folder to write.")],
    classifier: Annotated[str | None, typer.Option(help="e.g. 'inter 0.001 kappa'; else the headline's.")] = None,
) -> None:
    """Write a classifier as a folder that needs the study no more."""
    from wen.bundle import export

    export.run(*_study(), bundle, classifier)


@app.command()
def run(
    jobs: Annotated[int | None, typer.Option(min=1, help="Models at once here; else what the machine holds.")] = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster: ray://HOST:PORT, or auto on its node.")] = None,
    gpus_per_job: Annotated[
        float | None, typer.Option(min=0.01, help="Below 1, several models share a GPU; else one each, where any are.")
    ] = None,
) -> None:
    """Run the study as dvc repro does, its models side by side."""
    from wen.launch import run

    if jobs and address:
        raise typer.BadParameter("--jobs is for this machine; with --address the cluster's resources decide")
    if gpus_per_job and gpus_per_job > 1 and gpus_per_job != int(gpus_per_job):
        raise typer.BadParameter(f"--gpus-per-job {gpus_per_job}: above 1 it has to be a whole number")
    run.run(*_study(), jobs, address, gpus_per_job)


@app.command()
def makespan(
    workers: Annotated[list[int], typer.Option(min=1, help="May be given several times.")] = [1, 2, 4, 8, 15, 45],  # noqa: B006
) -> None:
    """Predict how long the study takes with more workers, from the times of the last run."""
    from wen.launch import makespan

    makespan.run(*_study(), workers)


@app.command()
def selftest(device: Device = "auto") -> None:
    """Try in about a minute whether a device computes what the CPU does, and the same each time."""
    from wen.selftest import checks

    checks.run(device)


@app.command()
def verify(
    remote: Annotated[
        bool, typer.Option("--remote", help="Compare with the DVC remote, and push what it lacks.")
    ] = False,
    name: Annotated[str | None, typer.Argument(help="With --remote: which one (default: DVC's default).")] = None,
) -> None:
    """Hash outputs and cache, compare them with dvc.lock, and restore or remove what is damaged."""
    if name and not remote:
        raise typer.BadParameter(f"{name}: to compare with this remote, say `wen verify --remote {name}`")
    if remote:
        from wen.integrity import remote as store

        store.run(Paths(), name)
    else:
        from wen.integrity import verify

        verify.run(Paths())


for command in app.registered_commands:
    if command.callback and (command.name or command.callback.__name__.replace("_", "-")) in ("code", *STAGES):
        command.rich_help_panel = "Stages of dvc.yaml, which `dvc repro` runs"
