"""Every command that README and docs name runs, in blocks and in sentences, once each: here in a clone that holds the
results and files which they name. What would train, or submit, is asked what it would do; the blocks of guides, which
train, are followed by test_guides.py. What wants a GPU has one where there is one, else a processor."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import said_of_digits
import tomli_w
import torch
from documented import PAGES, commands
from guides import ROOT, clone, run

ANSWERS = ("--help", "--list", "--show", "--status", "--cancel", "--prepare", "--dry-run", "--export")
"""Options of `benchmark.grid` with which it trains nothing."""

OF_DATA = (
    *("cifar10_gkd_short", "cifar100", "cifar100_brief", "cifar100_cpu"),
    *("fashion_mnist", "mnist_hinton_long", "mnist_hinton"),
)
"""Grids that want more than an installed library's images."""

PROCESSOR = {} if torch.cuda.is_available() else {"--device cuda": "--device cpu", "--tf32": "--bfloat16"}

STAND_INS = {
    **{f"--grid {name}": "--grid smoke" for name in OF_DATA},
    "--grid ladder_fashion_mnist": "--grid ladder",
    "--grid NAME": "--grid smoke",
    "--pairs resnet32x4_resnet8x4": "--pairs resnet_m_resnet_s",
    "--pair resnet32x4_resnet8x4": "--pair resnet_l_resnet_w0.5",
    "results/reference/fashion_mnist_precision/grid.toml": "results/reference/digits_precision/grid.toml",
    **{
        f"results/reference/{name}/grid.toml": "results/reference/digits_precision/grid.toml"
        for name in ("cifar10_gkd_short", "gkd_students", "gkd_short_students", "mnist_hinton_later")
    },
    "/mnt/a/digits": "theirs",
    "/mnt/b/digits": "theirs",
    "THEIRS": "theirs",
    "results/NAME": "results/digits",
    "results/reference/NAME": "results/reference/digits",
    "results/<grid>": "results/digits",
    "FOLDER": "results/digits",
    "results/mnist_hinton": "results/digits",
    "results/ladder_fashion_mnist": "results/ladder",
    "methods.check NAME --update": "methods.check mine --update",
    "methods.check NAME": "methods.check kd",
    "analysis.score results/digits": "analysis.score said/grid",
    "--data-dir D": "--data-dir .",
    "--data-dir DATA": "--data-dir .",
    "relational-distillation": "python -m benchmark.command",
    "cluster:results/": "theirs/",
    **PROCESSOR,
}
"""What is here for what a reader has, or the suite takes hours for; the former are looked for first."""

QUICK = {
    "benchmark.cost": {"--grid": "smoke", "--rounds": "1", "--methods": "student kd"},
    "benchmark.speed": {"--grid": "ladder", "--rounds": "1", "--methods": "student kd", "--output": "."},
}
"""What measures for minutes measures little, with these options where a command has none of its own."""


def here(command: str) -> str:
    """What is run for a command."""
    for named, stand_in in STAND_INS.items():
        command = re.sub(rf"(?<!\S){re.escape(named)}(?!\S)", stand_in, command)
    [module] = re.findall(r"python -m ([\w.]+)", command) or [""]
    words = command.split()
    if words[-1] == module != "benchmark.command":
        return f"{command} --help"  # a mention
    if module in QUICK:
        command = re.sub(r"--grid \S+", f"--grid {QUICK[module]['--grid']}", command)
        command += "".join(f" {option} {value}" for option, value in QUICK[module].items() if option not in words)
    trains = module == "benchmark.grid" and not any(option in words for option in ANSWERS)
    return command + " --dry-run" * trains


NAMED = dict.fromkeys(here(command) for page in PAGES for command in commands(page))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone after a few days: digits trained, a grid, a profile, methods and a folder of data of its own."""
    folder = clone(tmp_path_factory.mktemp("reader"))
    (folder / "results" / "reference").unlink()
    shutil.copytree(ROOT / "results" / "reference", folder / "results" / "reference")
    for name in ("digits", "cifar100_brief", "cifar10_gkd_short", "controls", "ladder"):
        shutil.copytree(ROOT / "results" / "reference" / name, folder / "results" / name)
    shutil.copytree(folder / "results" / "cifar100_brief", folder / "results" / "cifar100")
    shutil.copytree(folder / "results" / "digits", folder / "theirs")
    said_of_digits.results(folder / "said")
    (folder / "results" / "digits" / "weights").mkdir()
    (folder / "results" / "digits" / "weights" / "RUN.safetensors").touch()
    shutil.copy(ROOT / "benchmark" / "grids" / "smoke.toml", folder / "my_grid.toml")
    shutil.copy(ROOT / "benchmark" / "profiles" / "cpu.toml", folder / "my.toml")
    (folder / "my_package").mkdir()
    template = run([sys.executable, "-m", "methods.check", "--template"], folder)
    for name in ("mine", "my_method"):
        (folder / "methods" / f"{name}.py").write_text(template.replace("my_method", name))
    [snippet] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    (folder / "methods" / "mean_distance.py").write_text(snippet)
    cell = {"dataset": "digits", "pair": "resnet_l_efficientnet_s", "method": "kd", "top1_percent": 92.9}
    (folder / "expected.toml").write_text(tomli_w.dumps({"cell": [cell]}))
    run(
        [sys.executable, "-m", "analysis.plan", "results/digits", "--open", "--to", "10", "--out", "seeds.toml"], folder
    )
    return folder


@pytest.mark.long
@pytest.mark.parametrize("command", [each for each in NAMED if "python -m" in each and "pytest" not in each])
def test_it_runs(command: str, reader: Path) -> None:
    run(["bash", "-ec", command], reader)


@pytest.mark.long
@pytest.mark.parametrize("command", [each for each in NAMED if re.search(r"(?:^| )pytest(?: |$)", each)])
def test_its_tests_are_there(command: str) -> None:
    """They are collected, which imports them and reads their options."""
    run(["bash", "-ec", f"{command} --collect-only -q"], ROOT)


@pytest.mark.parametrize("command", [each for each in NAMED if each.startswith(("latexmk", "rsync"))])
@pytest.mark.long
def test_tools_of_others_take_it(command: str, reader: Path) -> None:
    if not shutil.which(command.split()[0]):
        pytest.skip(f"{command.split()[0]} is not installed")
    run(["bash", "-ec", command], reader / "results" / "digits" if command.startswith("latexmk") else reader)
