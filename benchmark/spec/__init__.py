"""What is run: validated, frozen, hashed. No torch here."""

from benchmark.spec.control import STANDARD, TUNED, Control, Match
from benchmark.spec.grid import FROZEN, GRIDS, Grid, Range, Tuning, grid_names, load_grid
from benchmark.spec.run import (
    LABELS_ONLY,
    OF_REFERENCE,
    PROTOCOL_REVISION,
    TIMM,
    Architecture,
    Dataset,
    Pair,
    Precision,
    Recipe,
    Run,
)
from benchmark.spec.value import Options, Scalar, Value, derive_seed, digest, parse
