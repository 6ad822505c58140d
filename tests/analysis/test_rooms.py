"""Who imports whom inside the analysis, from runs to the report."""

import pytest
from test_imports import imported, modules, of, room

ROOMS: dict[str, tuple[str, ...]] = {
    "style": (),
    "runs": ("style",),
    "statistics": ("style", "runs"),
    "tables": ("style", "runs", "statistics"),
    "figures": ("style", "runs", "statistics"),
    "verify": ("style", "runs", "statistics", "tables"),
    "plan": ("style", "runs", "statistics", "tables"),
    "score": ("style", "runs", "statistics"),
    "report": ("style", "runs", "statistics", "tables", "figures"),
    "__main__": ("style", "runs", "statistics", "tables", "figures", "report"),
}
"""What each room may import of the analysis besides itself: nothing flows back."""


@pytest.mark.parametrize("module", [name for name in modules("analysis") if name != "analysis"])
def test_nothing_flows_back(module: str) -> None:
    known = ROOMS.keys() & {room(name) for name in of("analysis", imported(module))}
    assert known <= {room(module), *ROOMS[room(module)]}
