"""How fast the suite is beside a training loop of the usual kind: `python -m benchmark.speed`."""
