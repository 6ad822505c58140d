"""`relational-distillation COMMAND ...`: the commands of the suite by one name, each the same as `python -m MODULE`."""

import runpy
import sys

import benchmark
from benchmark.ground.errors import COMPLETE, USAGE, unknown

COMMANDS = {
    "grid": ("benchmark.grid", "train a grid of methods, pairs and seeds, here or through SLURM"),
    "analysis": ("analysis", "figures, tables and statements of results folders"),
    "verify": ("analysis.verify", "compare a results folder with a reference, cell by cell"),
    "score": ("analysis.score", "metrics of finished runs, from kept predictions"),
    "plan": ("analysis.plan", "how many seeds a claim needs, and which pairs need more"),
    "check": ("methods.check", "try a method against its contract"),
    "cost": ("benchmark.cost", "measure what methods cost on this device"),
    "remeasure": ("benchmark.cost.remeasure", "measure finished runs again, without training"),
    "speed": ("benchmark.speed", "the suite beside a training loop of the usual kind"),
}
"""The module behind each command, by name alone: none is imported before it is asked for."""


def main() -> None:
    """Run the command that the first argument names. Exits with its code, or 2 for a name that is none."""
    benchmark.begin()
    command, *arguments = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print("usage: relational-distillation COMMAND [OPTION ...]; COMMAND --help has the options\n")
        print("\n".join(f"  {name:9} {what} (python -m {module})" for name, (module, what) in COMMANDS.items()))
        sys.exit(COMPLETE)
    if command not in COMMANDS:
        print(f"error: {unknown('command', command, COMMANDS)}", file=sys.stderr)
        sys.exit(USAGE)
    sys.argv[1:] = arguments
    runpy.run_module(COMMANDS[command][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
