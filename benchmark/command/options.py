"""The options of the command line. No torch here."""

import argparse
import re
from pathlib import Path

from benchmark.errors import EXIT_CODES, Parser, number, threads


def parser(description: str | None) -> argparse.ArgumentParser:
    result = Parser(
        prog="python -m benchmark.grid", description=description, epilog=EXIT_CODES, formatter_class=_HelpFormat
    )
    add = result.add_argument_group("what to run").add_argument
    add("--grid", default="digits", metavar="NAME|FILE", help="a grid of this suite, or a TOML file of your own")
    add(
        "--methods",
        nargs="+",
        action="extend",
        metavar="M",
        help="'all': the grid's own list (default); 'installed': third parties' too; 'tuned': with the options that "
        "--tune chose; or names, by comma or space, a composition as kd+rkd_da, a control as student@longer",
    )
    add(
        "--seeds",
        nargs="+",
        action="extend",
        metavar="N|A,B",
        help="a number: that many, 0 to N-1; or the seeds themselves, '0,3,7' or '7,'",
    )
    add(
        "--pairs",
        nargs="+",
        action="extend",
        metavar="P",
        help="only these pairs, as TEACHER_STUDENT (default: all of the grid)",
    )
    add("--datasets", nargs="+", action="extend", metavar="D", help="only these data sets (default: all of the grid)")
    add(
        "--option",
        nargs="+",
        action="extend",
        default=[],
        metavar="METHOD.NAME=VALUE",
        help="change an option of a method; it becomes a variant of its own in records and tables",
    )
    add = result.add_argument_group("where").add_argument
    add("--data-dir", type=Path, metavar="DIR", help="where data sets lie that the suite does not bring along")
    add("--offline", action="store_true", help="do not download a data set of torchvision's that is not there")
    add("--results-dir", type=Path, default=Path("results"), metavar="DIR", help="results land in DIR/<grid>")
    add = result.add_argument_group("how").add_argument
    add(
        "--executor",
        choices=("auto", "slurm", "local", "inline"),
        default="auto",
        help="slurm: submit and return; local: a worker per GPU, or what the cores hold; inline: in this process; "
        "auto: slurm where a cluster answers, else local",
    )
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU where there is one")
    add(
        "--threads",
        type=threads,
        metavar="N",
        help="CPU threads per worker (default: the grid's, else an equal share)",
    )
    add("--stop-after", type=duration, metavar="T", help="stop cleanly after 90s, 9m or 2h; run again to go on")
    add(
        "--retry",
        choices=("failed", "lost"),
        help="failed: try runs again that failed, which are left alone otherwise; lost: submit nothing but what jobs "
        "that are gone left undone",
    )
    _add_cluster_options(result)
    add = result.add_argument_group("instead of running").add_argument
    add(
        "--tune",
        action="store_true",
        help="train the trials of the grid's [tuning] section, choose on validation images",
    )
    add("--dry-run", action="store_true", help="print the plan: teachers, cohorts, states, forecast, sbatch parameters")
    add("--prepare", action="store_true", help="fetch data, check that they and all networks are usable, stop there")
    add("--status", action="store_true", help="print what the results folder holds")
    kinds = ("methods", "grids", "models", "datasets", "controls")
    add("--list", choices=kinds, help="print what there is to choose from; controls are the --grid's")
    add("--export", metavar="RUN", help="write a run's student weights to RUN.safetensors here, if its grid keeps them")
    return result


def _add_cluster_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("on a SLURM cluster").add_argument
    add(
        "--profile",
        metavar="NAME|FILE",
        help="sbatch options from slurm/profiles/NAME.toml, or a TOML file of your own",
    )
    add(
        "--slurm",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="any option of sbatch, as partition=gpu or time=2:00:00; comes on top of the profile",
    )
    add("--max-parallel", type=number, metavar="N", help="jobs of an array that run at once (default: all)")
    add("--workers", type=number, metavar="N", help="workers that share a job and its GPU (default: 1)")
    add("--watch", action="store_true", help="stay and show how far the jobs are; they do not need it")
    add("--cancel", action="store_true", help="take this grid's jobs out of the queue; what is finished stays")


def duration(text: str) -> float:
    """Seconds."""
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if parts is None or float(parts[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 9m or 2h")
    return float(parts[1]) * {"s": 1, "m": 60, "h": 3600}[parts[2]]


class _HelpFormat(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=110)
