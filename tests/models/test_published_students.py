"""Published networks are taken out of pickled modules whose code never runs."""

import importlib.util
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

SCRIPT = Path(__file__).parents[2] / "results" / "reference" / "gkd_students" / "convert.py"


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn1, self.shortcut = nn.BatchNorm2d(2), nn.Sequential(nn.Conv2d(2, 2, 1, bias=False))


class Network(nn.Module):
    """By its authors' names, and with a trap."""

    def __init__(self, trap: "Trap") -> None:
        super().__init__()
        self.bn, self.layer1, self.linear, self.trap = nn.BatchNorm2d(2), nn.Sequential(Block()), nn.Linear(2, 3), trap


class Trap:
    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.sprung),)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code for container:UserWarning")
def test_networks_are_renamed_and_nothing_that_their_pickles_name_is_run(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("convert", SCRIPT)
    assert spec
    assert spec.loader
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    convert.REFERENCE = tmp_path
    convert.FILES = {"student": "HEAD:held.pth"}
    network = Network(Trap(tmp_path / "sprung"))
    held = {"net": nn.ModuleDict({"module": network})}
    torch.save(held, tmp_path / "held.pth", _use_new_zipfile_serialization=False)
    author = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    for command in (["init", "-q"], ["add", "held.pth"], [*author, "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    convert.main(tmp_path)
    assert not (tmp_path / "sprung").exists()
    found = load_file(tmp_path / "student.safetensors")
    wanted = {"bn1": network.bn, "layer1.0.bn1": network.layer1[0].bn1, "fc": network.linear}
    wanted |= {"layer1.0.downsample.0": network.layer1[0].shortcut[0]}
    tensors = {f"{place}.{name}": value for place, part in wanted.items() for name, value in part.state_dict().items()}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], value) for name, value in tensors.items())
    torch.load(tmp_path / "held.pth", weights_only=False)
    assert (tmp_path / "sprung").exists()  # so the trap is one
