"""A run's weights as a safetensors file, and their hash."""

import hashlib
import json
from pathlib import Path

from safetensors.torch import save
from torch import nn

from benchmark.files import atomic
from benchmark.spec import Run


def weights_sha256(module: nn.Module) -> str:
    """Hash of names, shapes and values of a module's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_weights(path: Path, module: nn.Module, run: Run) -> None:
    """Write a timm model's weights, with the run they come from as metadata: enough to build the model again."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    metadata = {"run_id": run.id, "run": json.dumps(run.model_dump(mode="json"))}
    with atomic(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))  # by Python's own means: a full disk has to be told as such
