"""Networks with random weights as teachers: of the control `random`, and where only what they cost matters."""

from itertools import islice

from torch.optim.swa_utils import update_bn

from benchmark.data import TrainingData
from benchmark.models import Network, create
from benchmark.spec import Run, derive_seed
from benchmark.training.device import seed_generators
from benchmark.training.teacher import Frozen

BATCHES = 32
"""How many batches tell a network's layers the mean and variance of what they see."""


def update_batch_norms(network: Network, run: Run, data: TrainingData, batches: int = BATCHES) -> None:
    """Take batch norms' statistics from training images, in place; no label is read. With weights and statistics as
    they come, a deep network's outputs grow with its depth: it would teach nothing but a scale. A last batch of one
    image, which has no variance where a map is one pixel, is left out."""
    seed_generators(data.device, derive_seed("settle", run.seed))  # dropout is at work
    views = data.views(run.seed, 0)
    shown = (data.training_batch(views, step)[0] for step in range(data.steps))
    whole = (images for images in shown if len(images) > 1 or run.recipe.batch_size == 1)
    update_bn(islice(whole, batches), network.model)


def untrained(run: Run, data: TrainingData, classes: int) -> Frozen:
    """A teacher with random weights, for what hangs on its size alone: counts, seconds, memory."""
    network = create(run.student, run.recipe, classes, run.seed, pretrained=False).to(data.device)
    update_batch_norms(network, run, data, batches=1)
    return Frozen(network, data.device)
