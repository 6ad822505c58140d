"""Relational representation distillation: how a sample resembles a queue of earlier ones, in both networks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.memory import WIDTH
from methods.options import at_least, positive


def resemblance_loss(
    student: Tensor, teacher: Tensor, queue: Tensor, tau_s: float = 0.1, tau_t: float = 0.02
) -> Tensor:
    """Cross-entropy, the mean over the batch, of how embeddings [B, D] of unit length resemble the rows of a queue
    [K, D]: softmax of the inner products over a temperature of each network's own."""
    target = (teacher.detach() @ queue.T / tau_t).softmax(1)
    return -(target * (student @ queue.T / tau_s).log_softmax(1)).sum(1).mean()


@register("rrd")
class RelationalRepresentationDistillation(Method):
    """Relational representation distillation (Giakoumoglou & Stathaki 2024, arXiv:2407.12073).

        -weight * mean_i sum_k p_T(k) log p_S(k),   p_X = softmax_k (<u_X, q_k> / tau_X)

    u: embeddings [B, D] through a linear map to 128, of unit length; q: the last `queue` embeddings of the teacher's,
    the batch's own among them, [queue, 128]: first in, first out. Widths may differ.

    Defaults: weight 1, a queue of 16,384, tau_S = 0.1 and tau_T = 0.02, those of the authors' command line
    (giakoumoglou/rrd, giakoumoglou/distillers); their class has them the other way round. The teacher's map gets no
    gradient there, since p_T and q have none: a random projection, which is frozen here.

    Deviation: the queue wraps around wherever it ends, where the authors' wants batches that divide it.
    """

    label = "RRD"
    reads = frozenset({"embedding"})
    memory_order = 1
    queue: Tensor
    place: Tensor

    def __init__(
        self, task: Task, *, weight: float = 1.0, queue: int = 16384, tau_s: float = 0.1, tau_t: float = 0.02
    ) -> None:
        super().__init__(task)
        ours, theirs = task.pair
        at_least(0, "rrd", weight=weight)
        at_least(1, "rrd", queue=queue)
        positive("rrd", tau_s=tau_s, tau_t=tau_t)
        self.weight, self.tau_s, self.tau_t = weight, tau_s, tau_t
        self.student_embedding = nn.Linear(ours.embedding, WIDTH)
        self.teacher_embedding = nn.Linear(theirs.embedding, WIDTH).requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(queue, WIDTH), dim=0))  # columns, as the authors have it
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        ours = relations.normalize(self.student_embedding(student.embedding))
        theirs = relations.normalize(self.teacher_embedding(teacher.embedding.detach()))
        self._enter(theirs)
        return self.weight * resemblance_loss(ours, theirs, self.queue, self.tau_s, self.tau_t)

    @torch.no_grad()
    def _enter(self, embedded: Tensor) -> None:
        newest = embedded[-len(self.queue) :]
        places = (self.place + torch.arange(len(newest), device=newest.device)) % len(self.queue)
        self.queue.index_copy_(0, places, newest)
        self.place.copy_((self.place + len(newest)) % len(self.queue))
