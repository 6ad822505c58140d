"""timm's own pretrained weights: what timm says of them, and the file that holds them."""

from pathlib import Path
from typing import Any

from benchmark.errors import UsageError, one_line
from benchmark.libraries import timm
from benchmark.spec import Architecture

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""What timm's weights are called on the Hugging Face hub, in order of preference."""


def timm_config(architecture: Architecture) -> Any:
    """What timm says of a model's weights: classes, normalisation, where they are. UsageError if there are none."""
    try:
        known = timm().get_pretrained_cfg(architecture.model)
    except RuntimeError as error:
        raise UsageError(f"architecture {architecture.name!r}: {error}") from None
    if known is None or not known.has_weights:
        tags = timm().list_pretrained(f"{architecture.model.partition('.')[0]}.*")
        hint = f"; there are {', '.join(tags)}" if tags else ""
        raise UsageError(f"architecture {architecture.name!r}: timm has no weights of {architecture.model}{hint}")
    return known


def timm_file(architecture: Architecture) -> Path:
    """timm's pretrained weights of a model, from its cache or downloaded; UsageError if there are none to be had."""
    known = timm_config(architecture)
    hub, helpers = known.hf_hub_id, timm().models._hub
    names = (known.hf_hub_filename,) if known.hf_hub_filename else HUB_FILES
    failure: Exception | None = None
    for name in names if hub else (None,):
        try:
            return Path(helpers.download_from_hf(hub, name) if hub else helpers.download_cached_file(known.url))
        except Exception as error:  # whatever a download can fail of: no network, no such file, a full disk
            failure = error
    raise UsageError(
        f"architecture {architecture.name!r}: timm's weights of {architecture.model} are neither in its cache nor to "
        f"be downloaded (fetch them where there is network, or give weights = 'FILE'): {one_line(failure)}"
    )
