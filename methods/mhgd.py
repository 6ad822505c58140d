"""Multi-head graph distillation: attention between stages, learnt on the teacher."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from methods.base import Batch, Method, Outputs, Phase, Tap, Task, register
from methods.connectors import Conv2d
from methods.options import at_least, one_of
from methods.relations import NORM_FLOOR, wide
from methods.singular import aligned_vector, leading_vector

CANDIDATES = 4
"""Among how many of the student's singular vectors the one most like the teacher's is sought."""
RULES = ("clip", "scale")


class AttentionHeads(nn.Module):
    """Graphs [heads, B, B] from the samples' vectors at a back stage, [B, D], to those at a front one, [B, D_]."""

    def __init__(self, front: int, back: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, (front + back) // 2
        self.theta = projection(back, heads * self.width)
        self.phi = projection(front, heads * self.width)

    def forward(self, front: Tensor, back: Tensor) -> Tensor:
        theta, phi = (x.unflatten(1, (self.heads, self.width)) for x in (self.theta(back), self.phi(front)))
        return theta.transpose(0, 1) @ phi.permute(1, 2, 0)


class Estimator(nn.Module):
    """The back stage's vectors, [B, D] of unit length, from graphs [heads, B, B] and the front stage's, [B, D_]."""

    def __init__(self, front: int, back: int, heads: int) -> None:
        super().__init__()
        width = (front + back) // 2
        self.value = nn.Sequential(projection(front, width), nn.ReLU())
        self.output = linear(heads * width, back, bias=True)

    def forward(self, graphs: Tensor, front: Tensor, kept: Tensor) -> Tensor:
        """kept: [heads, B, 1], 1 for the rows of a head that are used, 0 for the dropped."""
        attended = (kept * graphs.softmax(2)) @ self.value(front)  # [heads, B, width]
        return F.normalize(self.output(attended.transpose(0, 1).flatten(1)), dim=1)


def linear(inputs: int, outputs: int, *, bias: bool = False) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def projection(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(linear(inputs, outputs), nn.BatchNorm1d(outputs))


def kept_heads(heads: int, size: int, generator: torch.Generator) -> Tensor:
    """Drop-head: [heads, size, 1], true where a standard normal number is above its mean over the heads."""
    noise = torch.randn(heads, size, 1, generator=generator)
    return noise > noise.mean(0, keepdim=True)


def graph_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(student || teacher) of the rows of graphs [heads, B, B] after tanh and softmax, summed over heads and rows."""
    log_student, log_teacher = (g.tanh().log_softmax(2) for g in (student, teacher.detach()))
    return F.kl_div(log_teacher, log_student, reduction="sum", log_target=True)


def clipping(term: Tensor, main: Tensor, share: float | Tensor) -> Tensor:
    """What gradients of these norms [P] are multiplied with, to be no longer than the main ones times `share`."""
    limit = share * main
    return torch.where(term > limit, limit / term, 1)


def scaling(term: Tensor, main: Tensor) -> Tensor:
    """The same for sigmoid(tau), tau being how many times longer the main gradients are, at least 1."""
    return (main / term.clamp(min=NORM_FLOOR)).clamp(min=1).sigmoid()


@register("mhgd")
class MultiHeadGraphDistillation(Method):
    """Graph-based knowledge distillation by multi-head attention network (Lee & Song, BMVC 2019, arXiv:1907.02226).

        sum_graphs,heads,ij KL(p_S || p_T),   p = softmax_j tanh G,   G_ij = theta(v_i) . phi(v'_j)

    v, v': per sample, the first right singular vector, [B, C], of the teacher's map [HW, C] at a stage and at the one
    before it; of the student's first four the one most like the teacher's. theta, phi: linear with batch
    normalisation, [B, heads, D], D being the mean of both widths. Heads are learnt in a phase of `epochs` on the
    teacher alone, where an estimator has to tell v from the graph and v':

        mean_B 1 - cos(v, linear concat_heads (drop_head softmax_j G) ReLU(BN(linear v')))

    and are frozen afterwards. Gradient rule: for each student parameter, `clip` limits the norm of the term's gradient
    to that of the main one times sigmoid(epoch), 1/2 in the first epoch; `scale` multiplies it by sigmoid(tau),
    tau = max(1, norm of the main gradient / norm of the term's). `weight` times the result is added: inside the term it
    would have next to no effect on a clipped gradient.

    Defaults: the authors' (sseung0703/KD_methods_with_TF): 8 heads, 40 epochs at the recipe's learning rate, weight
    decay 1e-3 (their 5e-4 times the sum of squares, whose gradient is twice as large), `clip`, which is the rule of
    their code, at weight 1; `scale` is that of their slides. The last three stages, their ResNets'; for a VGG, whose
    five they use, `stages = 5`.

    Deviations: where widths differ, which the authors exclude, a 1x1 convolution trained with the student takes its map
    to the teacher's width first; it gets the term's gradient as it is. The sign of a teacher's vector is the mean
    map's instead of the solver's. The gradient of a singular vector is its derivative, where the authors' is
    twice that (or, for HW < C, a mixture). The regression on one sample uses the running statistics.
    """

    reads: ClassVar[frozenset[Tap]] = frozenset({"maps"})
    vanishes_at_teacher: ClassVar[bool] = True

    def __init__(
        self,
        task: Task,
        *,
        weight: float = 1.0,
        stages: int = 3,
        heads: int = 8,
        epochs: int = 40,
        rule: str = "clip",
    ) -> None:
        super().__init__(task)
        if task.teacher is None:
            raise ValueError("mhgd needs a teacher")
        if reason := self.unsupported(task, stages=stages):
            raise ValueError(f"mhgd: {reason}")
        at_least(0, "mhgd", weight=weight, epochs=epochs)
        at_least(1, "mhgd", heads=heads)
        one_of(RULES, "mhgd", rule=rule)
        self.weight, self.stages, self.heads, self.rule = weight, stages, heads, rule
        student, teacher = ([shape[0] for shape in s.stages(stages)] for s in (task.student, task.teacher))
        graphs = list(pairwise(teacher))
        self.attention = nn.ModuleList(AttentionHeads(front, back, heads) for front, back in graphs)
        self.estimators = nn.ModuleList(Estimator(front, back, heads) for front, back in graphs)
        self.projections = nn.ModuleList(
            nn.Identity() if s == t else Conv2d(s, t, 1, bias=False) for s, t in zip(student, teacher, strict=True)
        )
        self.phases = (Phase(epochs, "own", self.estimation_loss, weight_decay=1e-3),)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        targets = self.teacher_vectors(teacher)
        maps = (project(x) for project, x in zip(self.projections, student.stages(self.stages), strict=True))
        vectors = [aligned_vector(x, target, CANDIDATES) for x, target in zip(maps, targets, strict=True)]
        terms = [
            graph_loss(frozen(heads, vectors[i], vectors[i + 1]), frozen(heads, targets[i], targets[i + 1]))
            for i, heads in enumerate(self.attention)
        ]
        return torch.stack(terms).sum()

    def estimation_loss(self, student: None, teacher: Outputs, batch: Batch) -> Tensor:
        """The phase: how far the estimates from the attention graphs are from the teacher's vectors."""
        targets = self.teacher_vectors(teacher)
        terms = []
        for i, (heads, estimator) in enumerate(zip(self.attention, self.estimators, strict=True)):
            front, back = targets[i], targets[i + 1]
            kept = batch.on_device(kept_heads(self.heads, len(front), batch.generator))
            for module in (heads, estimator):
                module.train(len(front) > 1)  # one sample has no batch statistics
            terms.append((1 - (estimator(heads(front, back), front, kept) * back).sum(1)).mean())
        return torch.stack(terms).sum()

    def teacher_vectors(self, teacher: Outputs) -> list[Tensor]:
        """[B, C] of every stage."""
        return [leading_vector(x) for x in teacher.stages(self.stages)]

    def combine(self, main: Tensor, term: Tensor, batch: Batch) -> Tensor:
        return self.combine_all([main], [term], batch)[0]

    def combine_all(self, mains: Sequence[Tensor], terms: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        of_terms, of_mains = (torch.stack(torch._foreach_norm(list(gradients))) for gradients in (terms, mains))
        share = wide(batch.epoch).sigmoid().to(of_mains.dtype)
        factors = scaling(of_terms, of_mains) if self.rule == "scale" else clipping(of_terms, of_mains, share)
        each = zip(mains, terms, (self.weight * factors).unbind(), strict=True)
        return [torch.addcmul(main, term, factor) for main, term, factor in each]

    @classmethod
    def unsupported(cls, task: Task, *, stages: int = 3, **options: Any) -> str | None:
        if stages < 2:
            raise ValueError(f"mhgd.stages = {stages}: a graph joins two stages")
        return task.lacks_stages(stages)


def frozen(module: nn.Module, *inputs: Tensor) -> Tensor:
    """A module's output in inference mode, with gradients for its inputs but not for its parameters."""
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}
    output: Tensor = functional_call(module.eval(), parameters, inputs)
    return output
