"""Commands for the torture test: forked from a server that has imported torch, so that most of their time is work."""

import os
import signal
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

MARK = "TORTURED"
"""A variable in the environment of every process of a test, whose value is the test's own."""


def server(mark: str) -> ForkServerContext:
    os.environ[MARK] = mark  # which the server hands on
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmark.grid", "benchmark.training.cohort", "benchmark.plan.plan", "submitit"])
    return context


def start(context: ForkServerContext, log: Path, *arguments: str | Path) -> ForkServerProcess:
    process = context.Process(target=command, args=(str(log), [*map(str, arguments), "--threads", "1"]))
    process.start()
    return process


def command(log: str, arguments: list[str]) -> None:
    """The command in a session of its own; it writes a checkpoint nearly every step."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    output = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    from benchmark.grid import main
    from benchmark.training import loop

    loop.CHECKPOINT_SECONDS = 0.05
    raise SystemExit(main(arguments))


def members(session: int, mark: str) -> list[int]:
    """The processes of a command that are left, by its first one's id."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its_session, *_ = (place / "stat").read_text().rpartition(")")[2].split()
            ours = f"{MARK}={mark}".encode() in (place / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if int(its_session) == session and ours and state != "Z":
            found.append(int(place.name))
    return found
