"""The registry: names, options, and methods of other packages."""

import subprocess
import sys
from pathlib import Path

import pytest
from method_tasks import OWN, task
from torch import nn

import methods
from methods.base import Method, Scalar, register


def test_own_methods_are_registered() -> None:
    assert set(OWN) <= set(methods.names(installed=False))
    assert methods.names() == sorted(methods.names())


@pytest.mark.parametrize(
    ("name", "distance", "angle"), [("rkd_d", 25.0, 0.0), ("rkd_a", 0.0, 50.0), ("rkd_da", 25.0, 50.0)]
)
def test_names_of_one_class_differ_in_their_defaults(name: str, distance: float, angle: float) -> None:
    assert methods.entry(name).method is methods.entry("rkd_da").method
    assert methods.resolve(name) == {name: {"distance": distance, "angle": angle, "normalize": False}}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("student", {}),
        ("kd", {"temperature": 4.0, "ce": 0.1, "weight": 0.9, "t_squared": True}),
        ("fitnet", {"weight": 100.0, "stage": 2, "relu": True}),
        (
            "fitnet_two_stage",
            {
                "epochs": 40,
                "stage": 2,
                "relu": True,
                "temperature": 3.0,
                "ce": 1.0,
                "weight": 4.0,
                "last_weight": 1.0,
                "t_squared": False,
            },
        ),
        ("sp", {"weight": 3000.0, "stages": 1}),
        ("gkd", {"weight": 25.0, "stages": 3, "neighbours": 0, "power": 1, "edges": "all"}),
        ("mhgd", {"weight": 1.0, "stages": 3, "heads": 8, "epochs": 40, "rule": "clip"}),
        ("irg", {"weight": 1.0, "vertices": 0.1, "edges": 5.0, "transformation": 5.0, "form": "zoo"}),
        ("crd", {"weight": 0.8, "negatives": 16384, "temperature": 0.07, "momentum": 0.5}),
        ("rrd", {"weight": 1.0, "queue": 16384, "tau_s": 0.1, "tau_t": 0.02}),
        (
            "hkd",
            {
                "weight": 3.0,
                "negatives": 16384,
                "neighbours": 8,
                "temperature": 0.07,
                "momentum": 0.9,
                "smoothing": 0.75,
            },
        ),
        ("ft", {"weight": 200.0, "share": 0.5, "epochs": 30, "learning_rate": 0.01, "factors": "attention"}),
        ("ab", {"weight": 0.0, "margin": 1.0, "epochs": 30}),
        ("reviewkd", {"weight": 5.0, "warmup": 20.0}),
        ("simkd", {"weight": 1.0, "factor": 2}),
        ("srrl", {"weight": 1.0, "kd": 1.0, "temperature": 4.0}),
    ],
)
def test_published_defaults(name: str, options: dict[str, Scalar]) -> None:
    assert methods.resolve(name) == {name: options}


@pytest.mark.parametrize("name", OWN)
def test_every_method_cites_its_source(name: str) -> None:
    documentation = methods.entry(name).method.__doc__ or ""
    assert name == "student" or "arXiv:" in documentation


@pytest.mark.parametrize("name", ["kd+more", "mine.loss", "a/b", "", "two words", Method])
def test_a_name_that_no_command_could_give_is_refused(name: str) -> None:
    """A class among them: of `@register` without parentheses."""
    with pytest.raises(ValueError, match=r"is no name of a method: @register\(NAME\)"):
        register(name)


def test_what_is_no_method_is_not_registered() -> None:
    with pytest.raises(TypeError, match=r"Linear'> is registered as 'mine', but is no subclass of methods.base.Method"):
        register("mine")(nn.Linear)
    assert "mine" not in methods.names()


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(methods.MethodError, match=r"unknown method 'rkd_ad': did you mean .*rkd_a.*valid: .*gkd.*sp"):
        methods.load("rkd_ad", task())
    with pytest.raises(methods.MethodError, match="unknown method 'zzzzzz': valid: "):
        methods.components("kd+zzzzzz")


def test_unknown_option_lists_the_valid_ones() -> None:
    with pytest.raises(
        methods.MethodError, match="'rkd_d' has no option 'distanec'; valid: angle, distance, normalize, stages"
    ):
        methods.resolve("rkd_d", {"rkd_d": {"distanec": 1.0}})
    with pytest.raises(methods.MethodError, match="'student' has no option 'weight'; valid: none"):
        methods.resolve("student", {"student": {"weight": 1.0}})


def test_options_added_later_are_described_only_where_they_differ() -> None:
    usual = {"distance": 25.0, "angle": 0.0, "normalize": False}
    assert methods.resolve("rkd_d", {"rkd_d": {"stages": 1}}) == {"rkd_d": usual}
    assert methods.resolve("rkd_d", {"rkd_d": {"stages": 3}}) == {"rkd_d": {**usual, "stages": 3}}
    assert methods.complete_options("rkd_d") == {"rkd_d": {**usual, "stages": 1}}
    composed = methods.resolve("kd+rkd_d", {"rkd_d": {"stages": 3}})
    assert composed["rkd_d"] == {**usual, "stages": 3}


def test_labels_name_options_added_later() -> None:
    deep = methods.resolve("rkd_d", {"rkd_d": {"stages": 3}})
    assert methods.label("rkd_d", deep) == "rkd_d[stages=3]"
    assert methods.label("rkd_d", deep, {"rkd_d": {"stages": 3}}) == "rkd_d"
    assert methods.label("rkd_d", methods.resolve("rkd_d"), {"rkd_d": {"stages": 3}}) == "rkd_d[stages=1]"
    assert methods.load("rkd_d", task(), deep).stages == 3


def test_what_is_read_depends_on_options() -> None:
    assert methods.reads("rkd_d") == {"embedding"}
    assert methods.reads("rkd_d", {"rkd_d": {"stages": 3}}) == {"embedding", "maps"}
    assert methods.reads("kd+rkd_d", {"rkd_d": {"stages": 2}}) == {"logits", "embedding", "maps"}


def test_options_have_the_type_of_their_default() -> None:
    resolved = methods.resolve("kd", {"kd": {"temperature": 2}})["kd"]["temperature"]
    assert resolved == 2.0
    assert isinstance(resolved, float)
    for name, option, value in (
        ("kd", "temperature", "2"),
        ("kd", "temperature", True),
        ("gkd", "neighbours", 2.5),
        ("gkd", "edges", 1),
        ("fitnet", "relu", 1),
    ):
        with pytest.raises(methods.MethodError, match=rf"option {name}\.{option} = .* its default is"):
            methods.resolve(name, {name: {option: value}})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kd", {"temperature": 0.0}),
        ("kd", {"weight": -1.0}),
        ("kd", {"ce": float("nan")}),
        ("rkd_d", {"distance": -25.0}),
        ("rkd_a", {"angle": -1.0}),
        ("sp", {"weight": -1.0}),
        ("fitnet", {"weight": -1.0}),
        ("fitnet_two_stage", {"temperature": -3.0}),
        ("fitnet_two_stage", {"last_weight": -1.0}),
        ("gkd", {"weight": -1.0}),
        ("gkd", {"edges": "some"}),
        ("gkd", {"power": 0}),
        ("gkd", {"neighbours": -1}),
        ("gkd", {"stages": 0}),
        ("sp", {"stages": 0}),
        ("fitnet", {"stage": 0}),
        ("fitnet", {"stage": 4}),
        ("cc", {"pairs": "some"}),
        ("dist", {"temperature": 0.0}),
        ("cka", {"classes": -1.0}),
        ("itrd", {"alpha": 0.0}),
        ("fsp", {"epochs": -1}),
        ("at", {"power": 0.5}),
        ("dkd", {"warmup": -1.0}),
        ("crd", {"momentum": 1.5}),
        ("hkd", {"momentum": -0.1}),
        ("hkd", {"smoothing": 2.0}),
        ("crd", {"temperature": 0.01}),
        ("ft", {"share": float("nan")}),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, Scalar]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        methods.load(name, task(), {name: options})


def test_label_names_what_is_not_the_default() -> None:
    def label(name: str, options: dict[str, dict[str, Scalar]]) -> str:
        return methods.label(name, methods.resolve(name, options))

    assert label("rkd_da", {}) == "rkd_da"
    assert label("kd+rkd_da", {}) == "kd+rkd_da"
    assert label("rkd_da", {"rkd_da": {"distance": 12.5}}) == "rkd_da[distance=12.5]"
    assert label("kd+gkd", {"gkd": {"power": 2, "edges": "inter"}}) == "kd+gkd[power=2,edges=inter]"


def install(folder: Path, package: str, code: str) -> None:
    """What pip leaves behind of a package whose module offers methods."""
    (folder / f"{package}.py").write_text(code)
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{methods.ENTRY_POINTS}]\n{package} = {package}\n")


THIRD_PARTY = """
from methods.base import Method, register


@register("logit_mse", weight=2.0)
class LogitMSE(Method):
    reads = frozenset({"logits"})

    def __init__(self, task, *, weight: float):
        super().__init__(task)
        self.weight = weight

    def forward(self, student, teacher, batch):
        return self.weight * (student.logits - teacher.logits).square().mean()
"""

USE = """
import warnings

import methods

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    every = methods.names()
assert "logit_mse" in every and "kd" in every, every
assert "logit_mse" not in methods.names(installed=False)
assert methods.resolve("kd+logit_mse")["logit_mse"] == {"weight": 2.0}
(told,) = (str(w.message) for w in caught)
assert told.startswith("'broken_methods' is left out, it cannot be imported: ERROR: no such luck (raised in ")
assert told.endswith("broken_methods.py:2)"), told
"""


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit"])
def test_installed_packages_add_methods_and_a_broken_one_only_warns(error: str, tmp_path: Path) -> None:
    install(tmp_path, "fine_methods", THIRD_PARTY)
    install(tmp_path, "broken_methods", f"\nraise {error}('no such luck')")
    root = Path(methods.__file__).parents[1]
    use = USE.replace("ERROR", error)
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(root), str(tmp_path)]}\n{use}"]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert finished.returncode == 0, finished.stderr
