"""A desk on a folder of its own, with the tiny model, and recipes as a page sends them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sdft_ext.desk import Desk
from sdft_ext.host.standalone import Shelf, StandaloneHost
from sdft_ext.recipe import ModelRecipe
from tests.run import tiny


def desk(data: Path, folder: Path, *, local: bool = True, roots: tuple[Path, ...] = ()) -> Desk:
    """A desk whose host lends the tiny model in ``data``; its pictures may be used, and ``roots``."""
    shelf = Shelf("cpu")
    base = ModelRecipe(base=str(data / "base.safetensors"))

    def host(recipe: Any) -> StandaloneHost:
        model = base if recipe is None or not recipe.model.base else recipe.model
        return StandaloneHost(model, shelf=shelf, roots=[data, *roots], local=local)

    return Desk(host, folder)


def values(data: Path, *settings: str) -> dict[str, Any]:
    """The tiny recipe, nested, as JSON holds it."""
    recipe = dataclasses.asdict(tiny.recipe(data, Path("elsewhere"), *settings))
    recipe["model"]["base"] = ""
    return recipe


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What ``condition`` gives once it is true. Fails where that takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came to that")


def state(desk: Desk, run: str) -> str:
    return str(desk.library.status(run)["state"])
