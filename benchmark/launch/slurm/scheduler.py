"""What is asked of SLURM, one command each. No torch here."""

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UsageError

CONFIGURATIONS = ("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf", "/run/slurm/conf/slurm.conf")
SECONDS = 60
"""How long SLURM may take to answer."""

WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "SPECIAL_EXIT", "CONFIGURING", "STOPPED")


@dataclass(frozen=True)
class Queued:
    """A job in the queue or running. `why` it waits, in SLURM's words; `node` it runs on."""

    state: str
    why: str
    node: str

    @property
    def waits(self) -> bool:
        return self.state in WAITING


@dataclass(frozen=True)
class Limits:
    """How many tasks an array may have, and how many jobs this user may still submit; None where nothing limits."""

    array: int | None = None
    jobs: int | None = None


def answers() -> bool:
    """Whether jobs can be submitted: sbatch alone may be left over from a package."""
    return silence() == ""


def silence() -> str | None:
    """Why no job can be submitted: "" if one can, None where there is no SLURM, else what sinfo says."""
    if not shutil.which("sbatch") or not shutil.which("sinfo"):
        return None
    try:
        answer = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "no answer within 30 s"
    return "" if answer.returncode == 0 else " ".join(answer.stderr.split()) or f"exit code {answer.returncode}"


def sbatch_options() -> frozenset[str]:
    """The long names of options that this cluster's sbatch lists; none where it is not installed or does not say."""
    listed = _ask("sbatch", "--help").stdout if shutil.which("sbatch") else ""
    return frozenset(re.findall(r"^ +(?:-\w, +)?--([a-z][a-z-]*)", listed, flags=re.MULTILINE))


def configured() -> bool:
    """Whether this machine belongs to a cluster, whether or not that answers now."""
    return "SLURM_CONF" in os.environ or any(Path(place).exists() for place in CONFIGURATIONS)


def queue(job_ids: Iterable[str]) -> dict[str, Queued]:
    """Those of these jobs (`12`, `12_0` in an array) that wait or run. Raises UsageError if SLURM does not answer."""
    wanted = set(job_ids)
    if not wanted:
        return {}
    bases = ",".join(sorted({job_id.partition("_")[0] for job_id in wanted}))
    answer = _ask("squeue", "--noheader", "--array", f"--jobs={bases}", "--format=%i|%T|%r|%N")
    if answer.returncode and "Invalid job id" not in answer.stderr:
        raise UsageError(f"SLURM does not say which jobs are queued: {answer.stderr.strip()}")
    rows = [line.split("|", 3) for line in answer.stdout.splitlines() if line.count("|") >= 3]
    return {job_id: Queued(state, why, node) for job_id, state, why, node in rows if job_id in wanted}


def endings(job_ids: Iterable[str]) -> dict[str, str]:
    """How jobs ended, in SLURM's words, such as `TIMEOUT` or `CANCELLED by 1000`; empty without accounting.

    What of an array never started is one row, with its tasks in brackets.
    """
    wanted = set(job_ids)
    if not wanted or not shutil.which("sacct"):
        return {}
    bases = ",".join(sorted({job_id.partition("_")[0] for job_id in wanted}))
    answer = _ask("sacct", "--noheader", "--allocations", "--parsable2", f"--jobs={bases}", "--format=JobID,State")
    rows = dict(line.split("|") for line in answer.stdout.splitlines() if line.count("|") == 1)
    never = {name.partition("_")[0]: end for name, end in rows.items() if "[" in name}
    ends = {job_id: rows.get(job_id) or never.get(job_id.partition("_")[0]) for job_id in wanted}
    return {job_id: end for job_id, end in ends.items() if end}


def cancel(job_ids: Iterable[str]) -> None:
    """Raises UsageError if SLURM refuses."""
    answer = _ask("scancel", *sorted(job_ids))
    if answer.returncode:
        raise UsageError(f"scancel: {answer.stderr.strip()}")


def limits(account: str | None, qos: str | None) -> Limits:
    """What the cluster and this user's associations allow; what cannot be found out counts as unlimited."""
    shown = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config").stdout, flags=re.MULTILINE)
    user = getpass.getuser()
    rows = _accounting("associations", f"user={user}", "format=account,maxsubmitjobs")
    allowed = [row[1] for row in rows if len(row) == 2 and account in (None, row[0])]
    allowed += [row[0] for row in _accounting("qos", qos or "normal", "format=maxsubmitjobsperuser")]
    most = min((int(number) for number in allowed if number.isdigit()), default=None)
    if most is not None:
        most = max(0, most - len(_ask("squeue", "--noheader", "--array", f"--user={user}").stdout.splitlines()))
    return Limits(array=int(shown[1]) if shown else None, jobs=most)


def _accounting(*what: str) -> list[list[str]]:
    if not shutil.which("sacctmgr"):
        return []
    answer = _ask("sacctmgr", "--noheader", "--parsable2", "show", *what)
    return [line.split("|") for line in answer.stdout.splitlines()] if answer.returncode == 0 else []


def _ask(*command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise UsageError(f"{command[0]} is not installed here: is this the cluster?") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"{command[0]} did not answer within {SECONDS} s") from None
