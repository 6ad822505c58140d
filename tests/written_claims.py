"""Claims as files, of holders that a test chooses."""

import json
import os
import time
from pathlib import Path
from typing import Any

from benchmark.records.process import identity


def write_claim(path: Path, age: float = 0.0, **values: Any) -> Path:
    path.write_text(json.dumps({**identity(os.getpid()), **values}))
    os.utime(path, (time.time() - age,) * 2)
    return path
