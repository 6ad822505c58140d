"""How fast the suite is beside a training loop of the usual kind: `python -m benchmark.speed`."""

PEERS = ("student", "kd", "fitnet", "rkd_d", "rkd_a", "rkd_da", "sp")
"""What RepDistiller has too: gkd and mhgd can be compared with a loop of one's own alone."""
METHODS = (*PEERS, "gkd", "mhgd")
