"""What is refused before anything is trained: all of it at once, and the networks that would fail in the middle."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import tomli_w
from command_line import cli

from benchmark.ground.errors import USAGE, UsageError
from benchmark.spec import Architecture, Run
from benchmark.training.preflight import check_runs

COLLAPSED = tiny.RESNET.model_copy(update={"collapsed_map": "accept"})
"""Has a last map of one pixel on digits."""
TEACHER = tiny.TEACHER.student.model_copy(update={"collapsed_map": "accept"})


def check(*runs: Run) -> dict[str, str]:
    return check_runs(runs, tiny.GRID, None, download=False)


def alone(student: Architecture, **recipe: Any) -> Run:
    """A run without a teacher, and as one."""
    return tiny.run("student", student, **recipe).model_copy(update={"teacher": None})


BROKEN: dict[str, dict[str, Any]] = {
    "resnet17": {"model": "resnet17"},
    "vit": {"model": "test_vit"},
    "coat": {"model": "coat_tiny"},
    "small": {"model": "dla34", "stem": "small"},
    "collapsed": {"model": "resnet18"},
    "misspelt": {"model": "resnet18", "options": {"depth_of_field": 3}},
}


def test_all_networks_that_cannot_serve_are_told_at_once() -> None:
    nets = [Architecture.model_validate({"name": name, **fields}) for name, fields in BROKEN.items()]
    with pytest.raises(UsageError) as raised:
        check(*(alone(net).model_copy(update={"pair": net.name}) for net in nets))
    lines = str(raised.value).splitlines()
    assert len(lines) == len(nets)
    for name, line in zip(BROKEN, lines, strict=True):
        assert repr(name) in line


def test_a_data_set_that_cannot_be_had_hides_no_network() -> None:
    elsewhere = tiny.DATA.model_copy(update={"name": "brids"})
    net = Architecture(name="net", model="coat_tiny")
    with pytest.raises(UsageError, match=r"unknown dataset 'brids'.*\n.*'net'"):
        check(alone(net).model_copy(update={"dataset": elsewhere}))


def test_a_command_prints_a_line_for_every_refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = tiny.GRID.as_toml() | {"name": "own"}
    raw["architectures"] = {f"net{i}": {"model": "resnet18", "options": {"num_classes": i}} for i in range(12)}
    raw["pairs"] = [{"teacher": f"net{i}", "student": f"net{i + 1}"} for i in range(11)]
    (tmp_path / "own.toml").write_text(tomli_w.dumps(raw))
    assert cli("--grid", tmp_path / "own.toml", "--results-dir", tmp_path, "--dry-run") == USAGE
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    for i, line in enumerate(lines):
        assert f"own.toml: architectures.net{i}.options: num_classes is not an option of" in line


@pytest.mark.usefixtures("test_methods")
def test_methods_are_built_with_the_labels_that_they_will_see() -> None:
    """Those of the recipe's training images; what a constructor raises names the author's line."""
    runs = [tiny.run("complains"), tiny.run("complains", without_classes=(3,))]
    for run, seen in zip(runs, ("10 classes in 100 images", r"9 classes in \d+ images"), strict=True):
        accepted = run.teacher.model_copy(update={"student": TEACHER}) if run.teacher else None
        with pytest.raises(UsageError, match=f"method complains: KeyError: .*{seen}.*raised in .*contract_methods.py:"):
            check(run.model_copy(update={"student": COLLAPSED, "teacher": accepted}))


@pytest.mark.parametrize(
    ("recipe", "refused"),
    [
        ({"batch_size": 33}, True),  # of 100 images
        ({"batch_size": 33, "last_batch": "drop"}, False),
        ({"batch_size": 1}, True),
        ({"batch_size": 1, "last_batch": "drop"}, True),
        ({"batch_size": 33, "epochs": 0}, False),
        ({"batch_size": 40}, False),
        ({"batch_size": 33, "without_classes": (3,)}, False),
    ],
    ids=str,
)
def test_a_last_batch_of_one_image_is_refused_at_one_pixel(recipe: dict[str, Any], refused: bool) -> None:
    if not refused:
        assert check(alone(COLLAPSED, **recipe)) == {}
        return
    remedy = 'last_batch = "drop"' if recipe["batch_size"] > 1 else "a batch_size above 1"
    with pytest.raises(UsageError, match=f"'resnet' cannot train on a batch of one image, .*{remedy}"):
        check(alone(COLLAPSED, **recipe))


def test_a_last_batch_of_one_image_is_none_of_a_larger_map() -> None:
    assert check(alone(tiny.EFFICIENTNET, batch_size=33, input_size=32, crop_padding=0)) == {}


def test_a_teachers_last_batch_counts_too() -> None:
    teacher = tiny.TEACHER.model_copy(update={"student": COLLAPSED, "recipe": alone(COLLAPSED, batch_size=33).recipe})
    with pytest.raises(UsageError, match="'resnet' cannot train on a batch of one image"):
        check(tiny.run("kd", tiny.VIT, teacher=teacher))
