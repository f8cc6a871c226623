"""Stage ``train-fold``: two-stage training of one model, one fold at one learning rate (3.3, 3.5)."""

from pathlib import Path

from dvclive import Live
from scmrepo.exceptions import SCMError

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.table import read_cells, rows_of_fold
from wen.errors import Message, WenError
from wen.files import atomic
from wen.network import backbone, device
from wen.network.checkpoint import Checkpoint, fingerprint
from wen.network.cut import cut
from wen.network.fit import Best, Curves, Stage, fit
from wen.network.inputs import inputs_for
from wen.network.progress import Place, place
from wen.network.steps import Task, initialise


def run(params: Params, paths: Paths, member: Member, device_name: str = "auto") -> None:
    """Write models/LR/FOLD.safetensors, the whole network, and its curves, plots/training/LR/FOLD/.

    Stage 1 trains the head on the frozen backbone; stage 2 starts from stage 1's best epoch and
    trains the head and all of the backbone from ``finetune.unfreeze_from`` on. What is saved is the best
    epoch of both, or of stage 2 if ``finetune.keep`` is ``always``; the file holds its stage and epoch. A training
    whose loss becomes infinite or undefined stops there, and its file says so; one that never had a finite loss leaves
    no file.
    Its checkpoint stays until `wen.members.predict.run` has read the model: then DVC keeps that.

    Raises
    ------
    WenError
        If the LR or the fold is not of this study, an earlier stage's output is missing or holds numbers that are
        none, no epoch had a finite loss, or git has no commit.
    """
    params.check_trained(member)
    cells = read_cells(paths)
    device.settle(params.compute)
    where = device.choose(device_name, params.compute)
    network = backbone.load(params, paths.backbone, where)
    parts = cut(network, params.finetune.unfreeze_from, device.precision(where, params.compute))
    initialise(parts.head, params.seed, member.fold)

    rows = rows_of_fold(cells, member.fold)
    task = Task(
        params=params,
        member=member,
        tail=parts.tail,
        label=cells.label.to_numpy(),
        train_rows=rows.train,
        validation_rows=rows.validation,
        device=where,
    )
    pooled = inputs_for("pooled", params, paths, network, where)
    activations = inputs_for("activations", params, paths, network, where)
    among = place(params, paths, member)
    checkpoint = Checkpoint(paths.checkpoint(member), fingerprint(params, paths, member))
    with (
        atomic(paths.training(member)) as folder,
        _live(folder) as live,
    ):
        curves = Curves(live)
        left = checkpoint.load()
        for row in left.rows if left else ():
            curves.log(row)
        best = fit(task, Stage("head", parts.head, pooled, params.head), curves, None, checkpoint, among)
        if not best.diverged:
            second = Stage("finetune", parts.tail, activations, params.finetune, params.finetune.keep == "always")
            best = fit(task, second, curves, best, checkpoint, among)
    parts.tail.load_state_dict(best.weights)
    backbone.save(network.state_dict(), _about(task, best), paths.model(member))
    print(_result(among, best))


def _result(among: Place, best: Best) -> Message:
    """One line for the log of `dvc repro`, where the bar is not seen."""
    return f"{among.title}: validation accuracy {best.accuracy:.3f}, of epoch {best.epoch} of {best.stage}"


def _about(task: Task, best: Best) -> dict[str, object]:
    """What a model's file says of it besides the weights."""
    params = task.params
    return {
        "backbone": params.backbone.model_dump(exclude={"weights"}),
        "images": params.images.model_dump(),
        "unfreeze_from": params.finetune.unfreeze_from,
        "lr": task.member.lr,
        "fold": task.member.fold,
        "stage": best.stage,
        "epoch": best.epoch,
        "validation_accuracy": best.accuracy,
        "validation_loss": best.loss,
        "diverged": best.diverged,
    }


def _live(folder: Path) -> Live:
    try:
        return Live(str(folder), dvcyaml=None, save_dvc_exp=False)
    except SCMError as error:
        raise WenError(f"git: {error}; DVCLive needs a commit: git add --all && git commit -m 'The study'") from None
