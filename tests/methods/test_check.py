"""The conformance kit: it passes for what is registered, and says what is wrong with what is broken."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import contract_methods
import phased_methods
import pytest
import torch
from broken_methods import BROKEN, FailsBackwards, OverwritesItsGradient

import methods
from methods.base import REGISTRY, Entry, Method, register
from methods.check import fingerprint
from methods.check.__main__ import TEMPLATE, check, main
from methods.check.standins import PAIRS, CheckError, batch, networks
from methods.check.tape import Tape, UnreplayableError

SOUND: dict[str, type[Method]] = {
    "memory_bank": contract_methods.MemoryBank,
    "replaced_classifier": contract_methods.ReplacedClassifier,
    "two_stage": phased_methods.TwoStage,
    "halved": phased_methods.Halved,
    "noise": contract_methods.Noise,
    "two_views": contract_methods.TwoViews,
    "mean_teacher": contract_methods.MeanTeacher,
    "own_noise": contract_methods.OwnNoise,
    "preacts": contract_methods.PreActivations,
}
"""Methods that stretch the contract without breaking it."""


@contextmanager
def registered(method: type[Method], name: str = "tried") -> Iterator[str]:
    register(name)(method)
    try:
        yield name
    finally:
        del REGISTRY[name]


def failures(name: str) -> list[str]:
    return [str(finding) for finding in check(name) if finding.outcome == "FAIL"]


@pytest.mark.parametrize("name", [*methods.names(), "kd+rkd_da", "gkd+kd", "mhgd+kd"])
def test_registered_methods_and_their_compositions_pass(name: str) -> None:
    assert not failures(name)


@pytest.mark.parametrize("name", SOUND)
def test_unusual_methods_pass(name: str) -> None:
    with registered(SOUND[name]) as tried:
        assert not failures(tried)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_method_fails_one_check_which_names_the_remedy(broken: type[Method]) -> None:
    what, seen, remedy = BROKEN[broken]
    with registered(broken) as tried:
        (failed,) = (finding for finding in check(tried) if finding.outcome == "FAIL")
    assert failed.check == what
    assert re.search(seen, failed.seen)
    assert re.search(remedy, failed.remedy)


@pytest.mark.parametrize("method", [FailsBackwards, OverwritesItsGradient])
def test_an_error_of_the_backward_pass_names_the_authors_line(method: type[Method]) -> None:
    """torch raises it where no line of the author's is left."""
    with registered(method) as tried:
        failed = next(finding for finding in check(tried) if finding.outcome == "FAIL")
    assert failed.check == "gradient"
    assert re.search(r"raised in the gradient of .*broken_methods\.py:\d+, in forward$", failed.remedy)


def test_a_method_that_serves_no_pair_is_not_tried() -> None:
    with registered(contract_methods.NeverSupported) as tried:
        served = {finding.check: finding for finding in check(tried)}["pairs"]
    reasons = {"convolutional": "12 and 20", "isotropic": "12 and 20", "equal widths": "12 and 12"}
    assert served.seen == "; ".join(f"{pair}: n/a, widths {widths} differ" for pair, widths in reasons.items())


def test_a_method_of_equal_widths_alone_is_tried_on_such_a_pair() -> None:
    findings = {finding.check: finding for finding in check("fsp")}
    assert findings["pairs"].seen.endswith("; equal widths")
    assert {"gradient", "student = teacher", "memory"} <= findings.keys()


@pytest.mark.parametrize("name", ["fsp", "ft", "simkd"])
def test_memory_is_seen_of_methods_that_do_not_serve_every_pair(name: str) -> None:
    """Of other widths, or with last maps of one position."""
    findings = {finding.check: finding for finding in check(name)}
    assert findings["memory"].outcome == "ok", findings["memory"]


def test_no_claim_is_suggested_to_a_composition() -> None:
    """ab's term is 0 in the main schedule, kd's at the teacher."""
    findings = {finding.check: finding for finding in check("kd+ab")}
    assert findings["student = teacher"].seen == "not claimed"


def test_terms_that_cannot_be_composed_fail_as_a_pair() -> None:
    with registered(phased_methods.Halved, "one"), registered(phased_methods.Halved, "two"):
        (failed,) = (finding for finding in check("one+two") if finding.outcome == "FAIL")
    assert failed.check == "pairs"
    assert "one and two cannot be composed" in failed.seen


def test_standins_leave_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    for pair in PAIRS:
        networks(pair)
    batch()
    check("kd")
    assert torch.equal(torch.get_rng_state(), state)


# Fingerprints.


@pytest.mark.parametrize("name", methods.names(installed=False))
def test_fingerprints_do_not_hang_on_rounding(name: str) -> None:
    """In float64 the losses are the committed ones with a margin of ten, so they are on any machine."""
    exact, known = fingerprint.fingerprint(name, torch.float64), fingerprint.committed()[name]
    for pair, values in known["losses"].items():
        assert exact[pair] == pytest.approx(values, rel=0, abs=fingerprint.TOLERANCE / 10 * max(map(abs, values)))


def test_fingerprints_are_those_of_the_suites_own_methods() -> None:
    assert sorted(fingerprint.committed()) == methods.names(installed=False)


@pytest.fixture
def fingerprints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the committed fingerprints, to be changed."""
    copy = tmp_path / "fingerprints.json"
    copy.write_text(fingerprint.FILE.read_text())
    monkeypatch.setattr(fingerprint, "FILE", copy)
    return copy


def test_a_changed_loss_asks_for_a_revision(
    fingerprints: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = REGISTRY["kd"]
    monkeypatch.setitem(REGISTRY, "kd", Entry("kd", known.method, {"temperature": 5.0}))
    (failed,) = failures("kd")
    raise_revision = "raise `revision` of methods.kd.KnowledgeDistillation to 2"
    assert "no longer that of revision 1" in failed
    assert raise_revision in failed
    assert main(["kd", "--update"]) == 1
    assert raise_revision in capsys.readouterr().out

    monkeypatch.setattr(known.method, "revision", 2)
    (failed,) = failures("kd")
    assert "revision is 2, the committed fingerprint is of revision 1" in failed
    assert "-> python -m methods.check kd --update" in failed
    before = json.loads(fingerprints.read_text())
    assert main(["kd", "--update"]) == 0
    assert not failures("kd")
    after = json.loads(fingerprints.read_text())
    assert {name for name in after if after[name] != before[name]} == {"kd"}
    assert list(after) == sorted(before)


def test_a_small_change_is_seen_and_rounding_is_not(fingerprints: Path) -> None:
    known = json.loads(fingerprints.read_text())
    for factor, same in ((1 + 1e-6, True), (1 + 1e-3, False)):
        losses = {pair: [factor * value for value in values] for pair, values in known["sp"]["losses"].items()}
        fingerprints.write_text(json.dumps({**known, "sp": {"revision": 1, "losses": losses}}))
        assert (not failures("sp")) == same


def test_a_new_method_of_the_suites_own_is_told_how_to_get_one(fingerprints: Path) -> None:
    known = json.loads(fingerprints.read_text())
    del known["gkd"]
    fingerprints.write_text(json.dumps(known))
    (noted,) = (finding for finding in check("gkd") if finding.check == "fingerprint")
    assert (noted.outcome, noted.seen) == ("n/a", "none committed yet: python -m methods.check gkd --update")
    assert main(["gkd", "--update"]) == 0
    assert json.loads(fingerprints.read_text())["gkd"]["revision"] == methods.entry("gkd").method.revision


def test_other_packages_methods_have_none_here(fingerprints: Path) -> None:
    with registered(phased_methods.Halved) as tried:
        (noted,) = (finding for finding in check(tried) if finding.check == "fingerprint")
        assert (noted.outcome, noted.seen) == ("n/a", "a method from another package")
        with pytest.raises(CheckError, match="no method of the suite's own"):
            fingerprint.update(tried)


# The command line.


def test_the_report_has_a_line_for_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kd"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "kd: methods.kd.KnowledgeDistillation, revision 1"
    findings = check("kd")
    assert [line[8:26].strip() for line in lines[1:-2]] == [finding.check for finding in findings]
    assert re.fullmatch(r"kd: \d+ ok, 0 failed, \d+ not applicable", lines[-2])


def test_the_exit_code_tells_failures_from_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    with registered(next(iter(BROKEN))) as tried:
        assert main(["student", tried]) == 1
        assert f"{tried}: " in capsys.readouterr().out
    for arguments in (["rkd_ad"], ["kd", "kd+nope"], []):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    assert "unknown method 'rkd_ad': did you mean" in capsys.readouterr().err


def test_a_method_given_twice_is_checked_once_and_one_command_does_one_thing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["student", "student"]) == 0
    assert capsys.readouterr().out.count("student: methods.student.") == 1
    with pytest.raises(SystemExit) as stop:
        main(["student", "--update", "--template"])
    assert stop.value.code == 2
    assert not capsys.readouterr().out


PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "guest-methods"
version = "1.0"
[project.entry-points."relational_distillation.methods"]
guest = "guest_methods"
broken = "guest_broken"
[tool.setuptools]
py-modules = ["guest_methods", "guest_broken"]
"""


def test_a_package_installed_from_outside(tmp_path: Path) -> None:
    """The template as it is, and with one line broken, in a real package."""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    template = TEMPLATE.read_text()
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "guest_methods.py").write_text(template)
    broken = template.replace("my_method", "broken").replace('frozenset({"embedding"})', 'frozenset({"logits"})')
    (source / "guest_broken.py").write_text(broken)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True, capture_output=True, cwd=tmp_path)

    root = Path(methods.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{site}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-m", "methods.check", "my_method", "kd+my_method", "broken"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert re.search(r"^my_method: \d+ ok, 0 failed", done.stdout, re.MULTILINE)
    assert re.search(r"^kd\+my_method: \d+ ok, 0 failed", done.stdout, re.MULTILINE)
    assert re.search(r"^broken: \d+ ok, 1 failed", done.stdout, re.MULTILINE)
    assert 'declare reads = frozenset({"embedding"})' in done.stdout
    assert "n/a   fingerprint         a method from another package" in done.stdout


def test_the_template_is_printed_and_registers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--template"]) == 0
    assert capsys.readouterr().out == TEMPLATE.read_text()
    assert "my_method" not in methods.names()


@pytest.mark.parametrize(
    "counts",
    [
        torch.bincount,
        torch.unique,
        torch.unique_consecutive,
        partial(torch.unique, return_counts=True),
        partial(torch.unique, dim=0),
        partial(torch.repeat_interleave, repeats=torch.tensor([1, 2, 0])),
    ],
)
def test_what_has_a_size_by_values_is_not_recorded(counts: Callable[[torch.Tensor], object]) -> None:
    labels = torch.tensor([2, 0, 2])
    with pytest.raises(UnreplayableError):
        Tape().record(lambda: counts(labels))
    Tape().record(lambda: labels.repeat_interleave(2))
