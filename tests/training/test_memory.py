"""Memory that a step frees is the next step's."""

import sys

import pytest
import torch

from benchmark.training.memory import keep_freed

BLOCKS, SIZE, PAGE = 8, 2**23, 4096


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
def test_what_is_freed_is_not_asked_of_the_kernel_again() -> None:
    import resource

    keep_freed()

    def step() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        made = [torch.ones(SIZE, dtype=torch.uint8) for _ in range(BLOCKS)]
        del made
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert min(step() for _ in range(5)) < BLOCKS * SIZE / PAGE / 10
