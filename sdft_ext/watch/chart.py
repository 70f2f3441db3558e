"""The loss chart as a picture that can be read on a phone, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image, ImageDraw

from ..run_folder.log import losses
from .lettering import fitting, width, write

SIZE = (1000, 640)
BOX = (90, 110, 975, 560)
"""Left, top, right, bottom of the plot, in pixels."""
LETTERS = 22
"""Height of letters, in pixels."""
FINE = 2
"""The chart is drawn this many times larger and then reduced, for smooth lines."""
COLOURS = {"loss": "#c3d3ea", "smoothed": "#1f5fae", "validation/held_out": "#d2691e", "validation/training": "#4b8f3c"}
NAMES = {
    "loss": "each step",
    "smoothed": "smoothed",
    "validation/held_out": "held-out pictures",
    "validation/training": "training pictures",
}
SAVE, GREY, LIGHT = "#b03030", "#555555", "#e9e9e9"

Place = Callable[[float, float], "tuple[float, float]"]
"""(step, loss) → pixel."""


def chart(lines: Sequence[dict[str, Any]], title: str) -> Image.Image:
    """Draw raw and smoothed loss, validation losses and a mark at each save over the steps; an empty chart without
    losses.
    """
    series = {name: [p for p in losses(list(lines), name) if math.isfinite(p[1])] for name in COLOURS}
    series = {name: points for name, points in series.items() if points}
    sheet = Image.new("RGB", (SIZE[0] * FINE, SIZE[1] * FINE), "white")
    pen = ImageDraw.Draw(sheet)
    everything = [point for points in series.values() for point in points]
    left, upper, right, lower = (FINE * side for side in BOX)
    write(sheet, (left, 18 * FINE), fitting(title, (LETTERS + 4) * FINE, right - left), (LETTERS + 4) * FINE, "#111111")
    if not everything:
        write(sheet, (left, (upper + lower) / 2), "No losses yet.", LETTERS * FINE, GREY)
        return sheet.resize(SIZE, Image.Resampling.LANCZOS)
    last = max(step for step, _ in everything)
    top = _top([value for _, value in everything])

    def place(step: float, value: float) -> tuple[float, float]:
        return left + (right - left) * step / max(last, 1), lower - (lower - upper) * max(min(value, top), 0.0) / top

    _axes(sheet, pen, place, last, top)
    saves = sorted({line["step"] for line in lines if line.get("event") == "save"})
    for step in saves:
        x, _ = place(step, 0)
        pen.line([(x, upper), (x, lower)], fill="#ecc9c9", width=FINE)
        pen.polygon([(x - 7 * FINE, upper - 11 * FINE), (x + 7 * FINE, upper - 11 * FINE), (x, upper)], fill=SAVE)
    for name, points in series.items():
        _line(pen, place, name, points)
    entries = [(NAMES[name], COLOURS[name]) for name in COLOURS if name in series]
    _legend(sheet, pen, entries + ([("save", SAVE)] if saves else []))
    return sheet.resize(SIZE, Image.Resampling.LANCZOS)


def ticks(top: float, count: int = 5) -> list[float]:
    """Choose round numbers from 0 to ``top`` for an axis, in at most ``count`` steps.

    >>> ticks(0.37), ticks(600)
    ([0.0, 0.1, 0.2, 0.3], [0.0, 200.0, 400.0, 600.0])
    """
    raw = top / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    return [float(f"{i * step:.6g}") for i in range(int(top / step + 1e-9) + 1)]


def _top(values: Sequence[float]) -> float:
    """Choose the end of the loss axis; a few outliers may leave the chart."""
    ordered = sorted(values)
    return max(ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)] * 1.1, 1e-6)


def _line(pen: ImageDraw.ImageDraw, place: Place, name: str, points: Sequence[tuple[int, float]]) -> None:
    pixels = [place(*point) for point in points]
    if len(pixels) > 1:
        pen.line(pixels, fill=COLOURS[name], width=(1 if name == "loss" else 3) * FINE, joint="curve")
    if name.startswith("validation") or len(pixels) == 1:
        for x, y in pixels:
            r = 4 * FINE
            pen.ellipse([x - r, y - r, x + r, y + r], fill=COLOURS[name])


def _axes(sheet: Image.Image, pen: ImageDraw.ImageDraw, place: Place, last: int, top: float) -> None:
    size = LETTERS * FINE
    left, upper, right, lower = (FINE * side for side in BOX)
    for value in ticks(top):
        _, y = place(0, value)
        pen.line([(left, y), (right, y)], fill=LIGHT, width=FINE)
        text = f"{value:g}"
        write(sheet, (left - 10 * FINE - width(text, size), y - size * 0.6), text, size, GREY)
    for step in (value for value in ticks(max(last, 1)) if value == int(value)):
        x, _ = place(step, 0)
        pen.line([(x, lower), (x, lower + 6 * FINE)], fill=GREY, width=FINE)
        text = f"{step:g}" if step < 1e5 else f"{step / 1000:g}k"
        end = sheet.width - width(text, size) - 4 * FINE
        write(sheet, (min(x - width(text, size) / 2, end), lower + 8 * FINE), text, size, GREY)
    pen.rectangle([left, upper, right, lower], outline="#999999", width=FINE)
    write(sheet, ((left + right) / 2 - width("step", size) / 2, lower + 38 * FINE), "step", size, GREY)


def _legend(sheet: Image.Image, pen: ImageDraw.ImageDraw, entries: Sequence[tuple[str, str]]) -> None:
    size, y = LETTERS * FINE, 62 * FINE
    x = float(BOX[0] * FINE)
    for text, colour in entries:
        pen.rectangle([x, y + 11 * FINE, x + 22 * FINE, y + 17 * FINE], fill=colour)
        write(sheet, (x + 30 * FINE, y), text, size, "#333333")
        x += 52 * FINE + width(text, size)
