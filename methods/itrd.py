"""Information-theoretic distillation: correlated dimensions, and no similarity that the teacher lacks."""

from torch import Tensor, nn

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.options import at_least, positive


def correlation_loss(student: Tensor, teacher: Tensor, alpha: float = 1.5) -> Tensor:
    """log2 sum_d |1 - r_d|^(2 alpha) of embeddings [B, D]; r: (B - 1) / B times Pearson's correlation over the batch,
    0 for a dimension that is constant."""
    size = len(student)
    ours, theirs = (relations.centred(relations.rows(x).T) for x in (student, teacher.detach()))
    correlations = (size - 1) / size * (ours * theirs).sum(1)
    return (1 - correlations).pow(2 * alpha).sum().log2()


def mutual_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over B^2 of cos_S^2 (1 - cos_T^2), cosines between the samples of embeddings [B, D_S] and [B, D_T]."""
    ours, theirs = (relations.cosine_similarities(x).square() for x in (student, teacher.detach()))
    return (ours * (1 - theirs)).mean()


@register("itrd")
class InformationTheoretic(Method):
    """Information theoretic representation distillation (Miles et al., BMVC 2022, arXiv:2112.00459).

        correlation * log2 sum_d (1 - r_d)^(2 alpha)  +  mutual / B^2 * sum_ij cos_S(i, j)^2 (1 - cos_T(i, j)^2)

    e: the student's embedding [B, D_S] mapped linearly to the teacher's width D, trained with the student; r_d: the
    correlation over the batch of dimension d of e and of the teacher's embedding, with the deviations of samples but
    divided by B, so at most (B - 1) / B; cos: cosines between samples, the student's of e (of its own embedding where
    widths agree). The first term falls to log2 D - 2 alpha log2 B: negative values are normal. The second pushes
    similarities down wherever the teacher's are not 1 or -1; nothing in it pulls them up.

    Defaults: 2, 0.05 and alpha 1.5, those of the authors' code (roymiles/ITRD); they choose some by pair, and no list
    was found. Deviations: a constant dimension has correlation 0, without gradient, and so has a batch of one sample,
    where the authors' code gives NaN.
    """

    label = "ITRD"
    reads = frozenset({"embedding"})

    def __init__(self, task: Task, *, correlation: float = 2.0, mutual: float = 0.05, alpha: float = 1.5) -> None:
        super().__init__(task)
        at_least(0, "itrd", correlation=correlation, mutual=mutual)
        positive("itrd", alpha=alpha)
        self.correlation, self.mutual, self.alpha = correlation, mutual, alpha
        student, teacher = task.pair
        self.projection = nn.Linear(student.embedding, teacher.embedding)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        projected, target = self.projection(student.embedding), teacher.embedding
        compared = student.embedding if student.embedding.shape == target.shape else projected
        correlation = self.correlation * correlation_loss(projected, target, self.alpha)
        return correlation + self.mutual * mutual_loss(compared, target)
