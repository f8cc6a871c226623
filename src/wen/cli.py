"""The command line: a command for each stage of dvc.yaml, and the commands around them."""

import os
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wen import installed, times
from wen.code import listed
from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.config.stages import STAGES
from wen.errors import WenError
from wen.failures import reported
from wen.integrity import edited

app = typer.Typer(
    help="Weighted ensembles of networks that tell leukaemic blasts from healthy cells: a reproducible study.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

LR = Annotated[float, typer.Option(help="Learning rate, one of those in params.yaml.")]
Fold = Annotated[int, typer.Option(help="Validation fold, counted from 0.")]
Device = Annotated[
    str,
    typer.Option(envvar="WEN_DEVICE", help="Device to compute on: auto, cuda, cuda:1, mps or cpu.", show_default=True),
]
Classifier = Annotated[
    str | None, typer.Option(help="Classifier, e.g. 'inter 0.001 kappa' (default: the one in focus).")
]
Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Lowest probability that is called positive (default: 0.5).")
]


def main() -> None:
    """Run the command line."""
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by 2>&-; what is printed to None comes out on standard output
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # file names can contain any bytes
    with reported():
        app(prog_name="wen")  # with "python -m wen", shell completion would not work


def _print_release(wanted: bool) -> None:
    if wanted:
        print(installed.described())
        raise typer.Exit


@app.callback()
def _before(
    context: typer.Context,
    release: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_release,
            is_eager=True,
            help="Print version, commit and folder of the code that runs.",
        ),
    ] = False,
) -> None:
    stage = context.invoked_subcommand
    if stage in STAGES:
        if name := os.environ.get("DVC_STAGE", "").rpartition(":")[2]:  # after the path of dvc.yaml, from a subfolder
            listed.check(stage if stage != "system" else name.replace("@", "/"), Paths())
            context.call_on_close(edited.watch(name, Paths()))
        context.call_on_close(times.clock(Paths(), stage))


def _study() -> tuple[Params, Paths]:
    paths = Paths()
    return load(paths.params), paths


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to create.")],
    profile: Annotated[
        str, typer.Option(help="Profile to copy to params.yaml: demo, thesis, honest or laptop.")
    ] = "demo",
) -> None:
    """Create a new study in its own folder, as a git and DVC repository."""
    from wen import init

    init.run(folder, profile)


@app.command()
def study(
    data: Annotated[Path, typer.Argument(help="Folder or zip: C-NMC 2019 from TCIA or Kaggle, or your own images.")],
    profile: Annotated[str, typer.Option(help="Profile to copy to params.yaml: thesis, honest or laptop.")] = "thesis",
    incomplete: Annotated[bool, typer.Option("--incomplete", help="Accept an incomplete C-NMC.")] = False,
    table: Annotated[Path | None, typer.Option(help="CSV of images, labels and subjects.")] = None,
    classes: Annotated[
        tuple[str, str] | None, typer.Option(help="Names of the negative and the positive class, as folders or labels.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="Name of the positive class, if the names do not show it.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set in the report (default: name of the folder).")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(help="Regular expression whose group is the subject in an image's path, e.g. 'P(\\d+)_'."),
    ] = None,
) -> None:
    """Link or copy images to data/raw, check them, and write a profile to params.yaml."""
    from wen.data import bring, recognise

    about = recognise.About(table, classes, positive, name, subject)
    bring.run(data, profile, incomplete, Paths(), about)


@app.command()
def check() -> None:
    """Check params.yaml, as `dvc repro` does before any stage runs."""
    from wen.integrity.check import check

    check(*_study())
    print("params.yaml is valid")


@app.command()
def doctor() -> None:
    """Check that this machine and folder have what a study needs, and say how to get what is missing."""
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
    file: Annotated[Path, typer.Option("--params", help="Parameters to plan for: a params.yaml or a profile.")] = Path(
        "params.yaml"
    ),
    calibrate: Annotated[bool, typer.Option(help="Run the network briefly to estimate hours.")] = True,
    device: Device = "auto",
) -> None:
    """Estimate time, memory and disk of the study before it runs."""
    from wen import plan

    plan.run(load(file), Paths(), calibrate, device)


@app.command("code")
def list_inputs() -> None:
    """Check params.yaml and outputs, and list the code, libraries, images and weights that the stages depend on."""
    from wen.integrity import dropped, leftovers, outside, verify
    from wen.integrity.check import check, check_log

    params, paths = _study()
    check(params, paths)
    check_log(paths)
    if removed := leftovers.remove(paths):
        print(f"removed, left by processes that were killed over a day ago: {verify.listed(removed)}", file=sys.stderr)
    if damaged := verify.check(paths):
        print(
            f"damaged outputs restored from the cache or scheduled to be computed again: {verify.listed(damaged)}",
            file=sys.stderr,
        )
    if removed := dropped.remove(params, paths):
        print(
            f"outputs removed, because params.yaml no longer has their stages: {verify.listed(removed)}; with the "
            "earlier params.yaml, `dvc repro` restores them from DVC's cache; `git checkout HEAD -- metrics` those in "
            "metrics/",
            file=sys.stderr,
        )
    listed.run(paths)
    outside.run(params, paths)


@app.command()
def prepare() -> None:
    """Check every image and list the images in data/index.csv."""
    from wen.data import prepare

    prepare.run(*_study())


@app.command()
def split() -> None:
    """Split the images into a test set and folds, and audit leaks."""
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
    """Repeat the study on other splits, with heads on the frozen features."""
    from wen.repeats import stage

    stage.run(*_study(), device)


@app.command()
def network(
    name: Annotated[str, typer.Argument(help="Network, one of those under `pretrained` in params.yaml.")],
    device: Device = "auto",
) -> None:
    """Compute a network's features once for all published systems that use it."""
    from wen.systems import network

    network.run(*_study(), name, device)


@app.command()
def systems() -> None:
    """List the inputs of each published system."""
    from wen.systems import inputs

    inputs.run(*_study())


@app.command()
def system(
    name: Annotated[str, typer.Argument(help="System, one of those under `systems` in params.yaml.")],
    device: Device = "auto",
) -> None:
    """Run a published system on this study's images and split."""
    from wen.systems import stage

    stage.run(*_study(), name, device)


@app.command()
def train_fold(lr: LR, fold: Fold, device: Device = "auto") -> None:
    """Train the model of a learning rate and fold, in two stages."""
    from wen.members import finetune

    finetune.run(*_study(), Member(str(lr), fold), device)


@app.command()
def predict_fold(lr: LR, fold: Fold, device: Device = "auto") -> None:
    """Predict the validation fold and the test set with a trained model."""
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
    """Write metrics, plots, tables and report/index.html."""
    import gc

    from wen.integrity import one_run
    from wen.report import page

    params, paths = _study()
    if "DVC_STAGE" in os.environ:  # `dvc repro --single-item report` updates no earlier stage
        one_run.check(params, paths, focus=False)
        one_run.check_code(params, paths)
    gc.freeze()  # statsmodels collects garbage at every correction of p-values; frozen objects are left out
    page.run(params, paths)


@app.command()
def results() -> None:
    """Print the result table, the verdicts, and the time that each stage took."""
    from wen.report import terminal

    terminal.run(*_study())


class Form(StrEnum):
    """Format of the rows."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"


@app.command()
def classify(
    sources: Annotated[
        list[str], typer.Argument(help="Images, folders or patterns; - reads names from standard input.")
    ],
    classifier: Classifier = None,
    form: Annotated[
        Form | None,
        typer.Option("--format", help="Format of the rows (default: by the ending of --output, otherwise a table)."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write: .csv, .jsonl, .parquet or .txt (default: standard output).")
    ] = None,
    members: Annotated[bool, typer.Option("--members", help="Add the probability of each member.")] = False,
    submission: Annotated[
        Path | None, typer.Option(help="File in the challenge's format, for images named 1.bmp, 2.bmp, ...")
    ] = None,
    device: Device = "auto",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to spread the images over: auto, when run on one of its nodes.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Folder written by `wen export`, used instead of a study.")
    ] = None,
    threshold: Threshold = None,
    subjects: Annotated[
        Path | None, typer.Option(help="CSV of file and subject: gives one row per person instead of per image.")
    ] = None,
) -> None:
    """Classify new images with a trained classifier."""
    from wen import classify

    request = classify.Request(
        sources, classifier, form, output, members, submission, device, address, threshold, subjects
    )
    if bundle:
        classify.run_bundle(bundle, request)
    else:
        classify.run(*_study(), request)


@app.command()
def serve(
    bundle: Annotated[
        Path | None, typer.Argument(help="Folder written by `wen export` (default: use the study in this folder).")
    ] = None,
    classifier: Classifier = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 chooses a free one.")] = 8017,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    threshold: Threshold = None,
    device: Device = "auto",
) -> None:
    """Classify images on a web page that runs on this computer."""
    from wen import loading
    from wen.serve import run

    if bundle:
        run.run(run.of_bundle(bundle, classifier, device), run.Options(port, threshold, "en", open_browser))
    else:
        if not Paths().params.is_file():
            raise WenError(
                "params.yaml: not found here; change to the folder of a study, or name a bundle: wen serve BUNDLE"
            )
        params, paths = _study()
        options = run.Options(port, threshold, params.report.language, open_browser)
        run.run(lambda: loading.of_study(params, paths, classifier, device), options)


@app.command()
def export(
    bundle: Annotated[Path, typer.Argument(help="Folder to write.")],
    classifier: Classifier = None,
) -> None:
    """Export a classifier to a folder that can be used without the study."""
    from wen.bundle import export

    export.run(*_study(), bundle, classifier)


@app.command()
def run(
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of models to train in parallel on this machine (default: as many as fit)."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster: ray://HOST:PORT, or auto on one of its nodes.")
    ] = None,
    gpus_per_job: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="GPUs per model; below 1, several models share a GPU (default: 1, or 0 without GPUs)."
        ),
    ] = None,
) -> None:
    """Run the study like `dvc repro`, but train models in parallel."""
    from wen.launch import run

    if jobs and address:
        raise typer.BadParameter("--jobs applies to this machine only; with --address, the cluster's resources decide")
    if gpus_per_job and gpus_per_job > 1 and gpus_per_job != int(gpus_per_job):
        raise typer.BadParameter(f"--gpus-per-job {gpus_per_job}: above 1, it must be an integer")
    run.run(*_study(), jobs, address, gpus_per_job)


@app.command()
def makespan(
    workers: Annotated[
        list[int], typer.Option(min=1, help="Number of workers; repeat the option to compare several.")
    ] = [1, 2, 4, 8, 15, 45],  # noqa: B006
) -> None:
    """Predict how long the study takes with more workers, from the times of the last run."""
    from wen.launch import makespan

    makespan.run(*_study(), workers)


@app.command()
def selftest(device: Device = "auto") -> None:
    """Test whether a device agrees with the CPU and gives equal results every time (about a minute)."""
    from wen.selftest import checks

    checks.run(device)


@app.command()
def verify(
    remote: Annotated[
        bool, typer.Option("--remote", help="Compare the DVC remote with dvc.lock and push what is missing there.")
    ] = False,
    name: Annotated[
        str | None, typer.Argument(help="Name of the remote, with --remote (default: DVC's default remote).")
    ] = None,
) -> None:
    """Compare the hashes of outputs and cache with dvc.lock; restore or remove what is damaged."""
    if name and not remote:
        raise typer.BadParameter(f"{name}: to compare with this remote, run `wen verify --remote {name}`")
    if remote:
        from wen.integrity import remote as store

        store.run(Paths(), name)
    else:
        from wen.integrity import verify

        verify.run(Paths())


for command in app.registered_commands:
    if command.callback and (command.name or command.callback.__name__.replace("_", "-")) in ("code", *STAGES):
        command.rich_help_panel = "Stages of dvc.yaml, run by `dvc repro`"
