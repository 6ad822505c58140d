"""Shared fixtures. `tiny` comes first: its imports make timm and torchvision importable beside any build of torch."""

import shutil
import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import contract_methods
import pytest
import tiny
import torch
from hypothesis import settings
from matplotlib.figure import Figure

from methods.base import REGISTRY, register

ROOT = Path(__file__).parent.parent

torch.set_num_threads(1)

settings.register_profile("suite", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run what takes a minute or more")
    parser.addoption("--torture-minutes", type=float, default=0.0, help="how long commands are killed at random")
    parser.addoption("--torture-seed", type=int, default=0, help="what the instants and kinds of kills are drawn by")
    parser.addoption("--fuzz-minutes", type=float, default=0.0, help="how long commands get files changed at random")
    parser.addoption("--fuzz-seed", type=int, default=0, help="what those changes are drawn by")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes a minute or more: --long"))


@pytest.fixture(autouse=True)
def _settings_of_torch() -> Iterator[None]:
    """Training sets process-wide switches; a test leaves them as it found them."""
    yield
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.fixture
def unsaved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn as ever, but saved as empty files: embedding fonts takes longer than everything else."""

    def save(figure: Figure, target: Path | BytesIO, **options: object) -> None:
        if isinstance(target, Path):
            target.write_bytes(b"")

    monkeypatch.setattr(Figure, "savefig", save)


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images are kept apart from the test's data and from every other test's."""
    monkeypatch.setenv("RELATIONAL_DISTILLATION_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and their workers run in the test's folder, on this tree and one thread, without a GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def shipped_signals() -> Iterator[None]:
    """Commands started from here get Ctrl-C, and the end of their terminal, even if the tests themselves run in the
    background of a shell or under nohup."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, former in before.items():
        signal.signal(number, former)


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder that holds `tiny.TEACHER`, trained. To be read only."""
    root = tmp_path_factory.mktemp("taught")
    assert tiny.train(root / "teachers", tiny.TEACHER)
    return root


@pytest.fixture
def results(taught: Path, tmp_path: Path) -> Path:
    """A results folder of the test's own, with a copy of the teacher."""
    shutil.copytree(taught / "teachers", tmp_path / "teachers")
    return tmp_path


@pytest.fixture(scope="module")
def test_methods() -> Iterator[None]:
    """The methods of contract_methods.py, registered for as long as a test module runs."""
    for name, method in contract_methods.METHODS.items():
        register(name)(method)
    yield
    for name in contract_methods.METHODS:
        del REGISTRY[name]
