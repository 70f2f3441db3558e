"""The GPU's load is shown where its library is installed, and only for a GPU."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from sdft_ext.desk.device_load import MB, device_load


class NVMLError(Exception):
    pass


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stands for the package on a machine without a GPU; torch's functions answer as with one."""
    found = ModuleType("pynvml")
    found.__spec__ = importlib.util.spec_from_loader("pynvml", None)
    found.NVMLError = NVMLError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", found)
    asked: list[Any] = []
    found.asked = asked  # type: ignore[attr-defined]

    def answer(value: Any) -> Any:
        return lambda device: asked.append(device) or value

    monkeypatch.setattr(torch.cuda, "mem_get_info", answer((6 * 1024 * MB, 24 * 1024 * MB)))
    monkeypatch.setattr(torch.cuda, "utilization", answer(97))
    monkeypatch.setattr(torch.cuda, "temperature", answer(71), raising=False)
    return found


def test_a_gpu_says_how_busy_warm_and_full_it_is(library: Any) -> None:
    found = device_load("cuda:1")
    assert found == {"load": 97, "temperature": 71, "used_mb": 18 * 1024, "total_mb": 24 * 1024}
    assert set(library.asked) == {"cuda:1"}


@pytest.mark.parametrize("device", ["cpu", "mps", ""])
def test_other_devices_have_no_load(device: str, library: Any) -> None:
    assert device_load(device) is None and library.asked == []


@pytest.mark.parametrize(
    "error", [NVMLError("Not Supported"), RuntimeError("no driver"), AttributeError("temperature")]
)
def test_a_gpu_that_does_not_measure_itself_has_none(
    error: Exception, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(device: str) -> int:
        raise error

    monkeypatch.setattr(torch.cuda, "temperature", fails, raising=False)
    assert device_load("cuda:0") is None


def test_without_the_package_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: pytest.fail("the GPU was asked"))
    assert device_load("cuda:0") is None
