"""One model of the study, written plainly with timm: every epoch reads every image and runs the complete network.

Run in the folder of a study (params.yaml, data/index.csv, data/split.csv, models/backbone.safetensors):

    python plain.py --lr 0.001 --fold 0 --head-epochs 3 --finetune-epochs 3

Only the random draws (views, orders, the head) come from the study, so that the losses must be equal. Prints JSON:
seconds and validation loss of each epoch by stage, and seconds of predicting the test set.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch
from PIL import Image
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional

from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.data.table import DEVELOPMENT, TEST, read_cells
from wen.members.finetune import initialise
from wen.network.steps import shuffled
from wen.network.views import draw


class Cells(Dataset):
    """Images of data/index.csv, read from their files, augmented and normalised one by one."""

    def __init__(self, cells, params: Params, mean, std, view: int | None) -> None:
        self.cells, self.images, self.mean, self.std = cells, params.images, mean, std
        self.drawn = None
        if view is not None:
            self.drawn = draw(params.augment, params.seed, view, np.arange(len(cells)))

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, row: int):
        crop, size = self.images.crop, self.images.size
        image = functional.center_crop(Image.open(self.cells.path.iloc[row]), [crop, crop])
        image = functional.pil_to_tensor(image.resize((size, size), Image.Resampling.BICUBIC)).float() / 255
        if self.drawn is not None:
            left_right, up_down, brightness, contrast = self.drawn[row].tolist()
            image = functional.horizontal_flip(image) if left_right else image
            image = functional.vertical_flip(image) if up_down else image
            image = functional.adjust_contrast(functional.adjust_brightness(image, brightness), contrast)
        return functional.normalize(image, self.mean, self.std), float(self.cells.label.iloc[row])


class Model:
    """A network with a new head, and the epochs that train it."""

    def __init__(self, params: Params, cells, lr: float, fold: int, workers: int) -> None:
        self.params, self.cells, self.lr, self.fold, self.workers = params, cells, lr, fold, workers
        self.network = timm.create_model(params.backbone.name, num_classes=1)
        self.network.load_state_dict(safetensors.torch.load_file("models/backbone.safetensors"), strict=False)
        initialise(self.network.classifier, params.seed, fold)
        development = (cells.part == DEVELOPMENT).to_numpy()
        self.train_rows = np.flatnonzero(development & (cells.fold != fold).to_numpy())
        self.validation_rows = np.flatnonzero(development & (cells.fold == fold).to_numpy())
        label = cells.label.to_numpy()[self.train_rows]
        self.weight = torch.from_numpy(len(label) / (2 * np.bincount(label, minlength=2))).float()

    def stage(self, name: str, epochs: int) -> dict[str, list[float]]:
        frozen, trained = self._parts(name)
        for parameter in self.network.parameters():
            parameter.requires_grad = False
        for module in trained:
            for parameter in module.parameters():
                parameter.requires_grad = True
        parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=self.lr)
        seconds, losses = [], []
        for epoch in range(epochs):
            begin = time.perf_counter()
            self.network.train()
            for module in frozen:
                module.eval()
            rows = shuffled(self.train_rows, self.params.seed, self.fold, name, epoch)
            for images, label in self.loader(rows, epoch % self.params.augment.views):
                logit = self.network(images).squeeze(1)
                loss = binary_cross_entropy_with_logits(logit, label.float(), weight=self.weight[label.long()])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            logit, label = self.predict(self.validation_rows)
            losses.append(binary_cross_entropy_with_logits(logit, label).item())
            seconds.append(time.perf_counter() - begin)
        return {"seconds": seconds, "losses": losses}

    def _parts(self, name: str):
        """Return the modules that stay frozen, and those that are trained."""
        network = self.network
        cut = len(network.blocks)
        if name == "finetune" and self.params.finetune.unfreeze_from != "conv_head":
            cut = int(self.params.finetune.unfreeze_from.removeprefix("blocks."))
        top = [*network.blocks[cut:], network.conv_head, network.bn2]
        frozen = [network.conv_stem, network.bn1, *network.blocks[:cut]]
        return ([*frozen, *top], [network.classifier]) if name == "head" else (frozen, [*top, network.classifier])

    def loader(self, rows: np.ndarray, view: int | None) -> DataLoader:
        config = self.network.pretrained_cfg
        batches = np.array_split(rows, -(-len(rows) // self.params.train.batch_size))
        cells = Cells(self.cells, self.params, config["mean"], config["std"], view)
        return DataLoader(cells, batch_sampler=batches, num_workers=self.workers)

    @torch.inference_mode()
    def predict(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        self.network.eval()
        outputs = [(self.network(images).squeeze(1), label) for images, label in self.loader(rows, None)]
        return torch.cat([logit for logit, _ in outputs]).double(), torch.cat([label for _, label in outputs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--head-epochs", type=int, default=0)
    parser.add_argument("--finetune-epochs", type=int, default=0)
    parser.add_argument("--predictions", type=int, default=0, help="how often to predict the test set")
    parser.add_argument("--workers", type=int, default=0, help="processes that read images")
    options = parser.parse_args()
    params, cells = load(Path("params.yaml")), read_cells(Paths())
    torch.set_num_threads(params.compute.threads)
    model = Model(params, cells, options.lr, options.fold, options.workers)
    result = {
        "head": model.stage("head", options.head_epochs),
        "finetune": model.stage("finetune", options.finetune_epochs),
        "test": {"seconds": [], "probability": []},
    }
    for _ in range(options.predictions):
        begin = time.perf_counter()
        logit, _ = model.predict(np.flatnonzero(cells.part == TEST))
        result["test"]["seconds"].append(time.perf_counter() - begin)
        result["test"]["probability"] = torch.sigmoid(logit).tolist()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
