"""The Tools panel: a LoRA is merged into the toy checkpoint, inspected, stopped and resumed, on a phone too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.cli.main import main
from sdft_ext.formats.tensor_file import TensorFile
from sdft_ext.model.load import load
from sdft_ext.toy.install import CHECKPOINT
from tests.method import perturbed

from .conftest import Open, Server
from .page import panel, scrolls_sideways

pytestmark = pytest.mark.slow
SCREENSHOTS = os.environ.get("SDFT_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two LoRAs of the toy model."""
    model, folder = load(CHECKPOINT), tmp_path_factory.mktemp("loras")
    return [perturbed.lora(model, folder / f"lora {number}.safetensors", seed=number) for number in (1, 2)]


def opened(page: Any, tool: str) -> Any:
    panel(page, "tools")
    page.locator(f".sdft-choice[data-tool={tool}]").click()
    return page.locator("section[aria-label='Tool settings']")


def typed(form: Any, field: str, path: str) -> None:
    """A path of its own instead of what is on offer, if anything is."""
    form.locator(f"[data-tool={field}] select").select_option("")
    form.locator(f"[data-tool={field}] input").fill(path)


def lora(form: Any, number: int, path: Path, weight: str) -> None:
    row = form.locator("[data-tool=lora]").nth(number)
    row.locator("select").select_option("")
    row.locator("input[type=text]").fill(str(path))
    row.locator("[data-tool=weight]").fill(weight)


def test_a_lora_is_merged_and_the_result_inspected(open_page, server, loras, tmp_path):
    page = open_page()
    form = opened(page, "merge")
    assert form.locator("[data-tool=base] select").input_value() == str(CHECKPOINT)
    assert form.locator("[data-tool=name]").input_value() == "toy-merged"
    assert str(server.runs / "made") in form.locator("[data-role=tool-place]").inner_text()
    lora(form, 0, loras[0], "0.5")
    form.locator("[data-action=tool-add]").click()
    lora(form, 1, loras[1], "1")
    form.locator("[data-action=tool-add]").click()
    form.locator("[data-action=tool-remove]").nth(2).click()
    (server.runs / "made").mkdir(parents=True, exist_ok=True)
    (server.runs / "made" / "toy-merged-2.safetensors").write_bytes(loras[0].read_bytes())
    form.locator("[data-action=tool-run]").click()  # as it is suggested; the next suggestion is free again
    page.wait_for_selector("[data-section=tool-job][data-state=finished]")
    page.wait_for_function("() => document.querySelector('input[data-tool=name]').value === 'toy-merged-3'")
    form.locator("[data-tool=name]").fill("merged here")
    form.locator("[data-action=tool-run]").click()
    job = page.locator("[data-section=tool-job]")
    page.locator("[data-section=tool-job][data-state=finished]").get_by_text("merged here").first.wait_for()
    merged = server.runs / "made" / "merged here.safetensors"
    assert f"{merged}: " in job.locator("[data-role=tool-message]").inner_text()
    other = tmp_path / "other.safetensors"
    assert main(["tools", "merge", str(CHECKPOINT), f"{loras[0]}:0.5", str(loras[1]), "--out", str(other)]) == 0
    assert merged.read_bytes() == other.read_bytes()

    page.reload()  # the outcome is there, and what was made can be chosen
    panel(page, "tools")
    page.wait_for_selector("[data-section=tool-job][data-state=finished]")
    job.locator("[data-action=tool-into]").click()
    look = page.locator("[data-section=tool-look]")
    look.locator("[data-fact=Kind]").get_by_text("checkpoint").wait_for()
    assert look.locator("[data-fact=sdft_merged] td").inner_text() == "lora 1.safetensors:0.5, lora 2.safetensors:1"
    assert look.locator("[data-fact=Tensors] td").inner_text() == f"{len(TensorFile(merged)):,}"
    assert form.locator("[data-tool=file] select").input_value() == str(merged)


def test_errors_are_shown_next_to_the_button(open_page, server, loras):
    open_page.refusals = True
    page = open_page()
    form = opened(page, "resize")
    typed(form, "source", str(loras[0].with_name("nothing.safetensors")))
    form.locator("[data-tool=name]").fill("smaller")
    form.locator("[data-action=tool-run]").click()
    form.locator(".sdft-problem").get_by_text("does not exist").wait_for()
    typed(form, "source", str(loras[0]))
    form.locator("[data-tool=rank]").fill("")
    form.locator("[data-action=tool-run]").click()
    page.locator("[data-section=tool-job][data-state=failed]").get_by_text("Set a rank, an error, or both.").wait_for()
    assert not (server.runs / "made" / "smaller.safetensors").exists()
    form = opened(page, "scan")
    typed(form, "file", str(CHECKPOINT))
    form.locator("[data-action=tool-run]").click()
    page.locator("[data-section=tool-look]").get_by_text("0 imports listed").wait_for()


ODD = b"\x80\x04cnobody\nKnown\n0"
"""The start of a pickle with an unknown import."""


@pytest.mark.parametrize(
    ("pickle", "look", "says"),
    [
        (b"\x80\x04}X\x01\x00\x00\x00xccollections\nOrderedDict\ns.", "good", "1 import listed"),
        (ODD + b"}.", "warn", "Some imports aren't known to be harmless"),
        (ODD + b"X\x01\x00\x00\x00xQ.", "warn", "checkpoints don't use"),
        (ODD + b"cos\nsystem\n0X\x01\x00\x00\x00xQ.", "bad", "Some imports could run programs"),
    ],
    ids=["harmless", "suspicious", "damaged", "dangerous"],
)
def test_a_scan_looks_like_what_it_found(open_page, tmp_path, pickle, look, says):
    path = tmp_path / "old.ckpt"
    path.write_bytes(pickle)
    page = open_page()
    form = opened(page, "scan")
    typed(form, "file", str(path))
    form.locator("[data-action=tool-run]").click()
    notice = page.locator("[data-section=tool-look] .sdft-notice")
    notice.get_by_text(says).wait_for()
    assert notice.get_attribute("class") == f"sdft-notice sdft-{look}"


WAITING = """
import sys, time
from pathlib import Path
from sdft_ext.formats.tensor_file import TensorFile
from sdft_ext.ui.standalone import main
read, keys, go = TensorFile.__getitem__, [], Path(sys.argv[1])
def waiting(self, key):
    if not key.startswith("lora_"):
        keys.append(key)
    while len(keys) > 9 and not go.exists():
        time.sleep(0.02)
    return read(self, key)
TensorFile.__getitem__ = waiting
main(sys.argv[2:])
"""
"""The page's own program on a disk that gives nine of a checkpoint's tensors, and the others when a file is there."""


@pytest.fixture
def waiting(chromium: Any, tmp_path: Path) -> Iterator[tuple[Open, Path]]:
    """Opens the page of such a program; and the file that it waits for."""
    go = tmp_path / "go"
    server = Server(tmp_path / "runs", sys.executable, "-c", WAITING, str(go))
    opened = Open(chromium, server.address)
    try:
        yield opened, go
    finally:
        go.touch()
        for context in opened.contexts:
            context.close()
        server.end()
    assert opened.said == []


def test_a_running_tool_is_stopped_from_a_reloaded_page(waiting, loras, tmp_path):
    open_page, go = waiting
    page = open_page()
    form = opened(page, "merge")
    lora(form, 0, loras[0], "1")
    form.locator("[data-tool=name]").fill("never")
    form.locator("[data-action=tool-run]").click()
    page.locator("[data-role=tool-facts]").get_by_text("s left").wait_for()
    page.reload()
    panel(page, "tools")
    page.locator("[data-section=tool-job] [role=progressbar]").wait_for()
    with page.expect_response("**/tools/stop"):
        page.locator("[data-action=tool-stop]").click()
    assert any(path.name.startswith(".never-") for path in (tmp_path / "runs" / "made").iterdir()), "half a file"
    go.touch()
    page.wait_for_selector("[data-section=tool-job][data-state=stopped]")
    assert list((tmp_path / "runs" / "made").iterdir()) == []


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_its_looks(open_page, server, loras, theme, width):
    page = open_page(width=width, theme=theme)
    form = opened(page, "merge")
    form.locator("[data-action=tool-add]").click()
    assert not scrolls_sideways(page)
    assert page.evaluate("document.activeElement.closest('[data-tool=lora]') !== null"), "the new row has the keyboard"
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.sdft-tools :is(input, select, button)')]
            .filter(one => !(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim()))
            .map(one => one.outerHTML)"""
    )
    assert nameless == []
    page.locator(".sdft-choice[data-tool=merge] input").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("heading", name="Extract a LoRA").wait_for()
    if SCREENSHOTS:
        opened(page, "merge")
        page.screenshot(path=str(Path(SCREENSHOTS, f"tools-{theme}-{width}.png")), full_page=True)
