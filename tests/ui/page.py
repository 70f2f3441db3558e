"""What tests do on the page: choose panels, set controls, prepare a short run."""

from __future__ import annotations

from typing import Any

EXAMPLE = {
    "train.length": "6",
    "train.batch_size": "2",
    "save.every": "3",
    "watch.sampler_steps": "2",
    "watch.pictures": "1",
    "dataset.concepts.0.regularization": "",
}
"""The example in a few seconds."""


def panel(page: Any, name: str) -> None:
    page.click(f"[role=tab][data-panel={name}]")


def field(page: Any, path: str) -> Any:
    """A setting's control, unfolded."""
    found = page.locator(f'[data-path="{path}"]')
    found.evaluate("node => { const fold = node.closest('details'); if (fold) fold.open = true; }")
    return found


def write(page: Any, path: str, value: str) -> None:
    """Type into the control of a text or number."""
    field(page, path).locator("input").first.fill(value)


def lines(page: Any, path: str, values: list[str]) -> None:
    """Make a list hold these lines; with keys, as answers of the server may move its buttons just when they are clicked."""
    found = field(page, path)
    while found.locator("[data-action=remove]").count():
        found.locator("[data-action=remove]").first.press("Enter")
    for value in values:
        found.locator("[data-action=add]").press("Enter")
        found.locator(".sdft-rows input").last.fill(value)


def short_example(page: Any, name: str, **settings: str) -> None:
    """The example, made short; ``settings`` by path, with ``__`` for the dots."""
    page.click("[data-action=example]")
    write(page, "save.name", name)
    named = {path.replace("__", "."): value for path, value in settings.items()}
    for path, value in {**EXAMPLE, **named}.items():
        write(page, path, value)
    lines(page, "watch.concept_prompts", ["a red sks shape on a white background"])
    lines(page, "watch.bleeding_prompts", ["a red shape on a white background"])


def start(page: Any) -> None:
    """Press Train once the recipe has been checked; the Monitor opens."""
    page.wait_for_selector("[data-action=train]:enabled")
    page.click("[data-action=train]")
    page.wait_for_selector("[role=tab][data-panel=monitor][aria-selected=true]")


def state(page: Any, wanted: str, timeout: float = 120_000) -> None:
    """Wait until the Monitor shows a run in this state."""
    page.wait_for_selector(f".sdft-monitor .sdft-state-{wanted}", timeout=timeout)


def step(page: Any) -> int:
    """Return the step that the Monitor shows."""
    text = page.locator("[data-role=facts]").inner_text()
    return int(text.split(" of ")[0].removeprefix("Step ")) if text.startswith("Step ") else 0


def scrolls_sideways(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
