"""The options of the command line. No torch here."""

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmark.ground.command import DEVICES, EXIT_CODES, Parser, number, threads
from benchmark.plan.more_seeds import DEFAULT_GRID


def parser(description: str | None) -> argparse.ArgumentParser:
    """All options, in the groups that --help shows."""
    result = Parser(
        prog="python -m benchmark.grid", description=description, epilog=EXIT_CODES, formatter_class=_HelpFormat
    )
    _what_to_run(result.add_argument_group("what to run").add_argument)
    _where(result.add_argument_group("where").add_argument)
    _how(result.add_argument_group("how").add_argument)
    _on_a_cluster(result.add_argument_group("on a SLURM cluster").add_argument)
    _instead(result.add_argument_group("instead of running"))
    return result


def _what_to_run(add: Callable[..., object]) -> None:
    own = f"a grid of this suite (default: {DEFAULT_GRID}), or a TOML file of your own"
    add("--grid", metavar="NAME|FILE", help=own)
    add_list = partial(add, nargs="+", action="extend")
    methods = "'all': the grid's own list (default); 'installed': third parties' too; 'tuned': with the options that "
    methods += "--tune chose; or names, by comma or space, a composition as kd+rkd_da, a control as student@longer"
    add_list("--methods", metavar="M", help=methods)
    seeds = "a number: that many, 0 to N-1; or the seeds themselves, '0,3,7' or '7,'"
    add_list("--seeds", metavar="N|A,B", help=seeds)
    add_list("--pairs", metavar="P", help="only these pairs, as TEACHER_STUDENT (default: all of the grid)")
    add_list("--datasets", metavar="D", help="only these data sets (default: all of the grid)")
    more = "only the pairs, and as many seeds, as a file says that analysis.plan --open --out wrote"
    add("--more-seeds", type=Path, metavar="FILE", help=more)
    option = "change an option of a method; it becomes a variant of its own in records and tables"
    add_list("--option", default=[], metavar="METHOD.NAME=VALUE", help=option)


def _where(add: Callable[..., object]) -> None:
    add("--data-dir", type=Path, metavar="DIR", help="where data sets lie that the suite does not bring along")
    add("--offline", action="store_true", help="do not download a data set of torchvision's that is not there")
    add("--results-dir", type=Path, default=Path("results"), metavar="DIR", help="results land in DIR/<grid>")


def _how(add: Callable[..., object]) -> None:
    executors = "slurm: submit and return; local: a worker per GPU, or what the cores hold; inline: in this process; "
    executors += "auto: slurm where a cluster answers, else local"
    add("--executor", choices=("auto", "slurm", "local", "inline"), default="auto", help=executors)
    add("--device", choices=DEVICES, default="auto", help="auto: a GPU where there is one")
    share = "CPU threads per worker (default: the grid's, else an equal share)"
    add("--threads", type=threads, metavar="N", help=share)
    add("--stop-after", type=duration, metavar="T", help="stop cleanly after 90s, 9m or 2h; run again to go on")
    again = "failed: try runs again that failed, which are left alone otherwise; lost: submit nothing but what jobs "
    again += "that are gone left undone"
    add("--retry", choices=("failed", "lost"), help=again)


def _on_a_cluster(add: Callable[..., object]) -> None:
    profile = "sbatch options of this suite (cpu, gpu), or from a TOML file of your own"
    add("--profile", metavar="NAME|FILE", help=profile)
    option = "any option of sbatch, as partition=gpu or time=2:00:00; comes on top of the profile"
    add("--slurm", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=option)
    workers = "workers that share a job and its GPU (default: 1); of executor local, each GPU, or without one the cores"
    add("--max-parallel", type=number, metavar="N", help="jobs of an array that run at once (default: all)")
    add("--workers", type=number, metavar="N", help=workers)
    add("--watch", action="store_true", help="stay and show how far the jobs are; they do not need it")


def _instead(group: argparse._ArgumentGroup) -> None:
    """One of these at most; --status and --cancel of the trials too."""
    tune = "train the trials of the grid's [tuning] section, choose on validation images"
    group.add_argument("--tune", action="store_true", help=tune)
    add = group.add_mutually_exclusive_group().add_argument
    add("--dry-run", action="store_true", help="print the plan: teachers, cohorts, states, forecast, sbatch parameters")
    add("--prepare", action="store_true", help="fetch data, check that they and all networks are usable, stop there")
    add("--status", action="store_true", help="print what the results folder holds")
    add("--cancel", action="store_true", help="take this grid's jobs out of the queue; what is finished stays")
    kinds = ("methods", "grids", "models", "datasets", "controls", "metrics")
    add("--list", choices=kinds, help="print what there is to choose from; controls are the --grid's")
    add("--show", metavar="NAME", help="print a grid or profile of this suite, for a file of your own to start from")
    add("--export", metavar="RUN", help="write a run's student weights to RUN.safetensors here, if its grid keeps them")


MOST_TIME = 1e6
"""Of any unit: no machine is up for so many hours, and clocks end."""


def duration(text: str) -> float:
    """Seconds."""
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if parts is None or not 0 < float(parts[1]) <= MOST_TIME:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a time such as 90s, 9m or 2h")
    return float(parts[1]) * {"s": 1, "m": 60, "h": 3600}[parts[2]]


class _HelpFormat(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=110)
