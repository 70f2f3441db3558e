"""The API of the page and of programs: routes below ``/sdft/v1/`` and the page's own code, behind one guard.

    mount(app, desk, Access(…))

adds everything to a FastAPI app, and later to the next one: the WebUI makes a new app whenever its UI is reloaded,
while the desk stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .guard import Access

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..desk import Desk

PAGE = Path(__file__).resolve().parent.parent / "ui" / "page"
PREFIX = "/sdft/v1"

__all__ = ["PREFIX", "Access", "mount"]


def mount(app: FastAPI, desk: Desk, access: Access | None = None, page: Path = PAGE) -> None:
    """Add the routes to an app; one that has them already stays as it is. ``page`` is the folder of the page's code."""
    from . import (
        captions,
        datasets,
        evaluation,
        imports,
        preparation,
        presets,
        regularization,
        reports,
        runs,
        session,
        static,
        tagging,
        tools,
        uploads,
    )
    from .guard import BYTES, Guard
    from .route import guarded_route_class
    from .together import Together

    if any(getattr(route, "path", "").startswith(f"{PREFIX}/") for route in app.routes):
        return
    guard, together = Guard(app, access or Access()), Together()
    route_class = guarded_route_class(guard, together)
    for router in (
        session.routes(desk, guard, route_class),
        runs.routes(desk, route_class),
        evaluation.routes(desk, route_class),
        presets.routes(desk, route_class),
        imports.routes(desk, route_class),
        datasets.routes(desk, route_class),
        captions.routes(desk, route_class),
        reports.routes(desk, route_class),
        preparation.routes(desk, route_class),
        regularization.routes(desk, route_class),
        tagging.routes(desk, route_class),
        tools.routes(desk, route_class),
        uploads.routes(desk, route_class, guarded_route_class(guard, together, BYTES)),
    ):
        app.include_router(router, prefix=PREFIX)
    app.include_router(static.routes(page, route_class))
    app.openapi_schema = None  # it was made before these routes were added
