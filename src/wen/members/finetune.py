"""Stage ``train-fold``: train one model, in two stages, for one learning rate and one validation fold (3.3, 3.5)."""

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
from wen.network.fit import BestEpoch, Curves, Stage, fit
from wen.network.inputs import inputs_for
from wen.network.progress import Position, position_of
from wen.network.steps import Task, initialise


def run(params: Params, paths: Paths, member: Member, device_name: str = "auto") -> None:
    """Write the trained network, models/LR/FOLD.safetensors, and its learning curves, plots/training/LR/FOLD/.

    Stage 1 trains the head on the frozen backbone. Stage 2 starts from the best epoch of stage 1 and trains the head
    and the backbone from ``finetune.unfreeze_from`` on. The saved weights are those of the best epoch of both stages,
    or of stage 2 if ``finetune.keep`` is ``always``; the file's metadata names the stage and the epoch.

    A training whose loss becomes infinite or NaN stops, and the metadata says so. If no epoch had a finite loss,
    nothing is saved. The checkpoint is deleted by `wen.members.predict.run`, when the model is in DVC's cache.

    Raises
    ------
    WenError
        If the learning rate or the fold is not part of the study, an output of an earlier stage is missing or not
        finite, no epoch had a finite loss, or the git repository has no commit.
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
    position = position_of(member, params, paths)
    checkpoint = Checkpoint(paths.checkpoint(member), fingerprint(params, paths, member, where))
    with atomic(paths.training(member)) as folder, _live(folder) as live:
        curves = Curves(live)
        saved = checkpoint.load()
        for row in saved.rows if saved else ():
            curves.log(row)
        stage_1 = Stage("head", parts.head, pooled, params.head)
        best = fit(task, stage_1, curves, None, checkpoint, position)
        if not best.diverged:
            stage_2 = Stage("finetune", parts.tail, activations, params.finetune, params.finetune.keep == "always")
            best = fit(task, stage_2, curves, best, checkpoint, position)
    parts.tail.load_state_dict(best.weights)
    backbone.save(network.state_dict(), _metadata(task, best), paths.model(member))
    print(_summary(position, best))


def _summary(position: Position, best: BestEpoch) -> Message:
    """Summarise the training in one line, for the log of `dvc repro`."""
    return f"{position.title}: validation accuracy {best.accuracy:.3f}, of epoch {best.epoch} of {best.stage}"


def _metadata(task: Task, best: BestEpoch) -> dict[str, object]:
    """Return the metadata to save with the weights."""
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
        "computed": device.described(task.device, params.compute),
    }


def _live(folder: Path) -> Live:
    try:
        return Live(str(folder), dvcyaml=None, save_dvc_exp=False)
    except SCMError as error:
        raise WenError(f"git: {error}; DVCLive needs a commit: git add --all && git commit -m 'The study'") from None
