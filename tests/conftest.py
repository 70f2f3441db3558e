"""What all tests share: surroundings (waiting threads sleep: two cores are shared), and the data of tiny runs."""

import gc
import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only timed tests are wanted, leave out files without any: importing all takes a quarter of a minute."""
    if collection_path.suffix != ".py" or config.option.markexpr.split(" ")[0] != "timed":
        return None
    return "mark.timed" not in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start files with slow tests first: started last, a long file leaves all other processes without work."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module", autouse=True)
def libraries_are_never_garbage() -> None:
    """Exempt from garbage collection what outlives a file's tests, such as imported libraries.

    A run collects garbage twice, and each time Python would visit every object of theirs: half a tiny run's time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tiny runs are made of: ``base.safetensors``, ``instance/``, ``class/`` and ``others/``; read only."""
    from tests.run import tiny

    folder = tmp_path_factory.mktemp("tiny")
    tiny.checkpoint(folder / "base.safetensors")
    tiny.pictures(folder)
    return folder
