"""A training loop of the usual kind, one method at a time: PIL transforms in worker processes, float32, contiguous, the
teacher's forward for every method, and a look at the loss after every step."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmark.ground.libraries import torchvision
from benchmark.spec import Recipe
from benchmark.speed.textbook import LOSSES
from benchmark.training.member import Member
from benchmark.training.teacher import Frozen
from methods.base import Batch


class Pictures(Dataset[tuple[Tensor, int, int]]):
    """Training images as PIL images, cropped, flipped and normalised by torchvision, one by one."""

    def __init__(self, pixels: Tensor, labels: Tensor, recipe: Recipe) -> None:
        """pixels: uint8 [N, H, W, C]"""
        transforms = torchvision.transforms
        self.pixels, self.labels = pixels.numpy(), labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(recipe.input_size, padding=recipe.crop_padding),
                *([transforms.RandomHorizontalFlip()] if recipe.flip else []),
                transforms.ToTensor(),
                transforms.Normalize(recipe.mean, recipe.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        pixels = self.pixels[index]
        image = Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[..., 0])
        return self.transform(image), self.labels[index], index


class Loop:
    """One method's training; `step` makes one and returns the loss."""

    def __init__(self, member: Member, teacher: Frozen, loader: DataLoader[tuple[Tensor, int, int]]) -> None:
        self.network, self.method, self.teacher = member.network, member.method, teacher.network
        self.name, self.reads, self.generator = member.run.method, member.reads, member.generator
        recipe = member.run.recipe
        parameters = [*self.network.parameters(), *self.method.parameters()]
        self.optimizer = torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            foreach=False,
        )
        self.device, self.loader = teacher.device, loader
        self._batches: Iterator[tuple[Tensor, Tensor, Tensor]] = iter(())

    def step(self) -> float:
        images, labels, index = (part.to(self.device) for part in self._next())
        outputs = self.network(images, self.reads)
        loss = self.method.ce_weight * F.cross_entropy(outputs.logits, labels)
        if self.reads:
            with torch.no_grad():
                taught = self.teacher(images, self.reads)
            if self.name in LOSSES:
                loss = loss + LOSSES[self.name](outputs, taught)
            else:
                epoch, progress = torch.zeros(2, device=self.device)
                batch = Batch(labels, index, epoch, progress, self.generator)
                plain, ruled = self.method.terms(outputs, taught, batch)
                loss = loss + plain + (0 if ruled is None else ruled)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        (outputs.logits.argmax(1) == labels).float().mean().item()
        return loss.item()

    def _next(self) -> tuple[Tensor, Tensor, Tensor]:
        batch = next(self._batches, None)
        if batch is None:
            self._batches = iter(self.loader)
            batch = next(self._batches)
        return batch
