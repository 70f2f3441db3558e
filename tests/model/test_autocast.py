"""Autocast is disabled, also on devices that have none."""

from __future__ import annotations

import torch

from sdft_ext.model.autocast import autocast_dtype, without_autocast


def test_autocast_is_off_inside() -> None:
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        with without_autocast(x.device):
            assert layer(x).dtype == torch.float32
        assert layer(x).dtype == torch.bfloat16


def test_a_device_without_autocast_needs_nothing() -> None:
    with without_autocast(torch.device("meta")):
        assert torch.nn.Linear(2, 2, device="meta")(torch.ones(1, 2, device="meta")).dtype == torch.float32


def test_the_dtype_of_autocast() -> None:
    assert autocast_dtype(torch.device("cpu")) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert autocast_dtype(torch.device("cpu")) == torch.bfloat16
        assert autocast_dtype(torch.device("meta")) is None, "a device that has none"
