"""What is asked of SLURM, one command each. No torch here."""

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmark.ground.errors import UsageError
from benchmark.records.ledger import Entry

CONFIGURATIONS = ("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf", "/run/slurm/conf/slurm.conf")
SECONDS = 60
"""How long SLURM may take to answer."""

WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "SPECIAL_EXIT", "CONFIGURING", "STOPPED")


@dataclass(frozen=True)
class Queued:
    """A job in the queue or running. `why` it waits, in SLURM's words; `node` it runs on; `name` it was given."""

    state: str
    why: str
    node: str
    name: str | None = None

    @property
    def waits(self) -> bool:
        return self.state in WAITING


@dataclass(frozen=True)
class Limits:
    """How many tasks an array may have, and how many jobs this user may still submit; None where nothing limits."""

    array: int | None = None
    jobs: int | None = None


def silence() -> str | None:
    """Why no job can be submitted: "" if one can, None where there is no SLURM, else what sinfo says. sbatch may be
    left over from a package.
    """
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


def live(entries: Iterable[Entry]) -> dict[Entry, Queued]:
    """Those of these jobs that wait or run: by id and name, on the cluster that they were submitted to. Numbers alone
    may be another grid's, or another cluster's. Raises UsageError if SLURM does not answer.
    """
    ours = [entry for entry in entries if entry.in_slurm and _is_here(entry)]
    found = queue(entry.job_id for entry in ours)
    jobs = {entry: found[entry.job_id] for entry in ours if entry.job_id in found}
    return {entry: job for entry, job in jobs.items() if _may_be(job.name, entry.name)}


def _is_here(entry: Entry) -> bool:
    return entry.cluster is None or cluster() in (None, entry.cluster)


def _may_be(name: str | None, other: str | None) -> bool:
    """Whether two names, as far as they are known, may be one job's."""
    return None in (name, other) or name == other


def queue(job_ids: Iterable[str]) -> dict[str, Queued]:
    """Those of these numbers (`12`, `12_0` in an array) that wait or run, of any user. Raises UsageError if SLURM
    does not answer.
    """
    wanted = set(job_ids)
    if not wanted:
        return {}
    bases = ",".join(sorted({job_id.partition("_")[0] for job_id in wanted}))
    answer = _ask("squeue", "--noheader", "--array", f"--jobs={bases}", "--format=%i|%T|%r|%N|%j")
    if answer.returncode and "Invalid job id" not in answer.stderr:
        raise UsageError(f"SLURM does not say which jobs are queued: {answer.stderr.strip()}")
    rows = [line.split("|", 4) for line in answer.stdout.splitlines() if line.count("|") >= 3]
    return {job_id: Queued(*rest) for job_id, *rest in rows if job_id in wanted}


@cache
def cluster() -> str | None:
    """What this cluster is called; None where it does not say."""
    if not shutil.which("scontrol"):
        return None
    shown = re.search(r"^ClusterName\s*=\s*(\S+)", _ask("scontrol", "show", "config").stdout, flags=re.MULTILINE)
    return shown[1] if shown else None


def endings(entries: Iterable[Entry]) -> dict[str, str]:
    """How jobs ended, by id, in SLURM's words, such as `TIMEOUT` or `CANCELLED by 1000`; empty without accounting.

    What of an array never started is one row, with its tasks in brackets.
    """
    named = {entry.job_id: entry.name for entry in entries if _is_here(entry)}
    if not named or not shutil.which("sacct"):
        return {}
    bases = ",".join(sorted({job_id.partition("_")[0] for job_id in named}))
    command = ("sacct", "--noheader", "--allocations", "--parsable2", f"--jobs={bases}", "--format=JobID,State,JobName")
    rows = [line.split("|", 2) for line in _ask(*command).stdout.splitlines() if "|" in line]
    known = {job_id: (end, name[0] if name else None) for job_id, end, *name in rows}
    never = {job_id.partition("_")[0]: end for job_id, end in known.items() if "[" in job_id}
    ends = {job_id: known.get(job_id) or never.get(job_id.partition("_")[0]) for job_id in named}
    return {job_id: end[0] for job_id, end in ends.items() if end and _may_be(end[1], named[job_id])}


def cancel(job_ids: Iterable[str]) -> None:
    """Raises UsageError if SLURM refuses."""
    answer = _ask("scancel", *sorted(job_ids))
    if answer.returncode:
        raise UsageError(f"scancel: {answer.stderr.strip()}")


def limits(account: str | None, qos: str | None) -> Limits:
    """What the cluster and this user's associations allow; what cannot be found out counts as unlimited."""
    shown = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config").stdout, flags=re.MULTILINE)
    user = getpass.getuser()
    here = [f"cluster={name}"] if (name := cluster()) else []
    rows = _accounting("associations", f"user={user}", *here, "format=account,maxsubmitjobs")
    account = account or _default_account(user)
    allowed = [row[1] for row in rows if len(row) == 2 and account in (None, row[0])]
    allowed += [row[0] for row in _accounting("qos", qos or "normal", "format=maxsubmitjobsperuser")]
    most = min((int(number) for number in allowed if number.isdigit()), default=None)
    if most is not None:
        most = max(0, most - len(_ask("squeue", "--noheader", "--array", f"--user={user}").stdout.splitlines()))
    return Limits(array=max(1, int(shown[1])) if shown else None, jobs=most)


def _default_account(user: str) -> str | None:
    """Which account jobs go to that name none; None where it is not known."""
    rows = _accounting("users", f"name={user}", "format=defaultaccount")
    return rows[0][0] or None if rows and rows[0] else None


def _accounting(*what: str) -> list[list[str]]:
    if not shutil.which("sacctmgr"):
        return []
    answer = _ask("sacctmgr", "--noheader", "--parsable2", "show", *what)
    return [line.split("|") for line in answer.stdout.splitlines()] if answer.returncode == 0 else []


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise UsageError(f"{command[0]} is not installed here: is this the cluster?") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"{command[0]} did not answer within {SECONDS} s") from None
