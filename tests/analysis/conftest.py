"""Fixtures of tests that call the analysis for what it says in words."""

import pytest


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure is made: drawing takes longer than everything else, and is tested on its own."""
    monkeypatch.setattr("analysis.figures.draw_figures", lambda *_, **__: ([], []))
