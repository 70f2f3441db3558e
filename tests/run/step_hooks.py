"""Doing something between the steps of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sdft_ext.host.standalone import StandaloneHost
from sdft_ext.recipe import Recipe
from tests.run import tiny


class Between(StandaloneHost):
    """Lends the model, and calls ``do(finished steps)`` when the run takes its turn with it, before each step (and
    before pictures).
    """

    def __init__(self, recipe: Recipe, folder: Path, do: Callable[[int], object]) -> None:
        super().__init__(recipe.model)
        self.folder, self.do = folder, do

    def turn(self) -> Any:
        self.do(max((line["step"] for line in tiny.losses(self.folder)), default=0))
        return super().turn()
