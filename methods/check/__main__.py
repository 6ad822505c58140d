"""Does a method keep the contract? One line per check: what was seen, and where it fails, what to do.

Works for every registered name, a package's installed elsewhere included, and for compositions such as `kd+rkd_da`.
"""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Literal

import methods
from methods.check import contract, fingerprint, numerics, replay
from methods.check.places import raised_in
from methods.check.standins import CheckError, NotApplicableError, Subject, candidates, task

TEMPLATE = Path(__file__).parents[1] / "template.py.txt"

OF_NAME: dict[str, Callable[[str], str]] = {
    "documentation": contract.documentation,
    "options": contract.options,
}
"""Checks of what is written down."""

ON_PAIR: dict[str, Callable[[Subject], str]] = {
    "constructor": contract.constructor,
    "loss": contract.scalar,
    "reads": contract.reads,
    "inputs": contract.inputs_untouched,
    "determinism": contract.determinism,
    "gradient": contract.gradient,
    "gradient rule": contract.gradient_rule,
    "student = teacher": numerics.student_is_teacher,
    "permutation": numerics.permutation,
    "degenerate batches": numerics.degenerate_batches,
    "bf16 inputs": numerics.rounding,
    "memory": numerics.memory,
    "state": contract.state,
    "capturable": replay.capturable,
}
"""Checks that are made on every pair of stand-ins that the method serves."""
FIRST = ("loss", "determinism", "state")
"""Where one of these fails, the ones after it would only say so again."""


@dataclass(frozen=True)
class Finding:
    """One check's outcome; `remedy` says what to do about a failure."""

    check: str
    outcome: Literal["ok", "FAIL", "n/a"]
    seen: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"  {self.outcome:4}  {self.check:18}  {self.seen}"
        return f"{line}\n{'':28}-> {self.remedy}" if self.remedy else line


def check(name: str) -> list[Finding]:
    """Every check of a method or composition. Raises MethodError for an unknown name."""
    methods.components(name)
    findings = [_finding(what, partial(test, name)) for what, test in OF_NAME.items()]
    subjects: list[Subject] = []

    def served() -> str:
        seen = []
        for pair in candidates(name):
            reason = methods.unsupported(name, task(pair))
            seen.append(f"{pair.name}: n/a, {reason}" if reason else pair.name)
            if reason is None:
                Subject(name, pair).build()
                subjects.append(Subject(name, pair))
        return "; ".join(seen)

    findings.append(_finding("pairs", served))
    if findings[-1].outcome == "FAIL" or not subjects:
        return findings
    for what, test in ON_PAIR.items():
        findings.append(_finding(what, *(partial(test, subject) for subject in subjects)))
        if what in FIRST and findings[-1].outcome == "FAIL":
            return findings
    return [*findings, _finding("fingerprint", partial(fingerprint.unchanged, name))]


def _finding(what: str, *tests: Callable[[], str]) -> Finding:
    """A check on one or more stand-ins: the first failure, else what was seen on the first."""
    seen: list[Finding] = []
    for test in tests:
        try:
            with warnings.catch_warnings(action="ignore"):
                seen.append(Finding(what, "ok", test()))
        except CheckError as failed:
            return Finding(what, "FAIL", failed.seen, failed.remedy)
        except NotApplicableError as reason:
            seen.append(Finding(what, "n/a", str(reason)))
        except Exception as error:  # whatever a method raises is a finding
            place = raised_in(error, test)
            return Finding(what, "FAIL", f"{type(error).__name__}: {error}".partition("\n")[0], f"raised in {place}")
    return next((finding for finding in seen if finding.outcome == "ok"), seen[0])


def report(name: str) -> bool:
    """Print every finding; whether none is a failure."""
    for part in methods.components(name):
        method = methods.entry(part).method
        print(f"{part}: {method.__module__}.{method.__qualname__}, revision {method.revision}")
    findings = check(name)
    print(*findings, sep="\n")
    counts = {outcome: sum(f.outcome == outcome for f in findings) for outcome in ("ok", "FAIL", "n/a")}
    print(f"{name}: {counts['ok']} ok, {counts['FAIL']} failed, {counts['n/a']} not applicable\n")
    return counts["FAIL"] == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every method passes, 1 if one fails, 2 for names that do not exist."""
    parser = argparse.ArgumentParser(prog="python -m methods.check", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="methods, compositions (kd+rkd_da), or all")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--template", action="store_true", help="print a method to start from, and stop")
    instead.add_argument(
        "--update", action="store_true", help="commit the loss fingerprint; refused where `revision` has to be raised"
    )
    asked = parser.parse_args(arguments)
    if asked.template:
        print(TEMPLATE.read_text(encoding="utf-8"), end="")
        return 0
    try:
        given = [one for name in asked.names for one in (methods.names() if name == "all" else [name])]
        names = list(dict.fromkeys(given))
        for name in names:
            methods.components(name)
    except methods.MethodError as error:
        parser.error(str(error))
    if not names:
        parser.error("name a method, or all")
    if not asked.update:
        return 0 if all([report(name) for name in names]) else 1
    findings = [_finding("fingerprint", partial(fingerprint.update, name)) for name in names]
    for name, finding in zip(names, findings, strict=True):
        print(f"{name}\n{finding}")
    return 1 if any(finding.outcome == "FAIL" for finding in findings) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads the output may stop at any line
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what an author wrote, in whatever encoding it is shown
    try:
        code = main()
        print(end="", flush=True)  # a closed output is None
    except OSError as error:  # whatever a method raises is a finding: this is of the output, a full disk's
        print(f"error: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still writes when it ends
        code = 2
    sys.exit(code)
