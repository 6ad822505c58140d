"""Inputs of the golden values in golden/more.json: float64, from numpy's Philox streams alone.

`make(**SETS[name])` draws everything in the order written here; `parameters` fills the own parameters of a method.
Nothing here computes a loss.
"""

import math

import numpy as np

SETS = {
    "public": dict(
        seed=20261201,
        size=16,
        student=12,
        teacher=20,
        student_maps=(5, 6, 8, 12),
        teacher_maps=(7, 9, 12, 16),
        images=96,
        negatives=24,
    ),
}
SIZES = (8, 8, 4, 2)  # height and width of the stem and of three stages
WIDTH = 128  # of every embedding
METHOD = {
    "cc": 1,
    "vid": 2,
    "ickd": 3,
    "crd": 4,
    "rrd": 5,
    "hkd": 6,
    "ft_paraphraser": 7,
    "ft_translator": 8,
    "ab": 9,
    "reviewkd": 10,
    "simkd": 11,
    "srrl": 12,
    "itrd": 13,
}


def make(seed, size, student, teacher, student_maps, teacher_maps, images, negatives):
    """A dict of arrays; maps are lists, front to back."""
    g = np.random.Generator(np.random.Philox(seed))
    normal = g.standard_normal

    def maps(channels, scale=1, rectified=True):
        drawn = [normal((size, c, scale * h, scale * h)) for c, h in zip(channels, SIZES, strict=True)]
        return [np.maximum(m, 0) for m in drawn] if rectified else drawn

    x = {"es": normal((size, student)), "et": normal((size, teacher))}  # embeddings, signed
    x["ms"], x["mt"] = maps(student_maps), maps(teacher_maps)  # stem and stages 1, 2, 3, rectified
    x["mf"] = maps(student_maps)  # a teacher with the student's channels
    x["mb"] = maps(teacher_maps, scale=2)  # a teacher with maps twice as high and wide
    x["ps"], x["pt"] = maps(student_maps, rectified=False), maps(teacher_maps, rectified=False)  # pre-activations
    x["ls"], x["lt"] = 3 * normal((size, 10)), 4 * normal((size, 10))  # logits
    x["es2"], x["et2"] = normal((size, student)), normal((size, teacher))  # a second step
    x["ls2"], x["lt2"] = 3 * normal((size, 10)), 4 * normal((size, 10))
    x["train_labels"] = g.integers(0, 10, images)
    for step in ("", "2"):
        index = g.permutation(images)[:size]
        labels = x["train_labels"][index]
        drawn = []
        for label in labels:  # with replacement, from the images of other classes
            others = np.flatnonzero(x["train_labels"] != label)
            drawn.append(others[g.integers(0, len(others), negatives)])
        x["index" + step], x["labels" + step], x["negatives" + step] = index, labels, np.stack(drawn)
    x["head_w"], x["head_b"] = normal((10, teacher)) / math.sqrt(teacher), 0.1 * normal(10)  # teacher's classifier
    x["map_head_w"], x["map_head_b"] = normal((10, teacher_maps[3])) / math.sqrt(teacher_maps[3]), 0.1 * normal(10)
    return x


def stream(seed, method):
    """The generator of a method's own parameters, and of its memory after them."""
    return np.random.Generator(np.random.Philox([seed, METHOD[method]]))


def parameters(g, shapes):
    """Arrays for a list of (name, shape), in that order. Names are those of torch modules.

    weight of two and more dimensions: normal / sqrt(product of all but the first); weight of one dimension (batch
    normalisation): 1 + normal / 10; bias: normal / 10.
    """
    values = []
    for name, shape in shapes:
        drawn = g.standard_normal(tuple(shape))
        if name.endswith("bias"):
            values.append(drawn / 10)
        elif len(shape) == 1:
            values.append(1 + drawn / 10)
        else:
            values.append(drawn / math.sqrt(math.prod(shape[1:])))
    return values


def bank(g, images):
    """A memory [images, WIDTH], uniform in +-sqrt(3 / WIDTH)."""
    return (2 * g.random((images, WIDTH)) - 1) / math.sqrt(WIDTH / 3)


def queue(g, length):
    """A queue [length, WIDTH], normal, its columns of unit length."""
    drawn = g.standard_normal((length, WIDTH))
    return drawn / np.sqrt((drawn**2).sum(0))


def probe(shape, seed=7):
    """What a gradient of that shape is multiplied with and summed to give `grad_probe`."""
    return np.random.Generator(np.random.Philox(seed)).standard_normal(shape)
