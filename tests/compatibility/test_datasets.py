"""What version 0.1.0 kept in a dataset's folder: edits of captions, the trash, kept copies, crops, masks, prepared
pictures.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.desk.setting import until

V1 = "/sdft/v1"
TOY = {"dataset": {"resolution": 64, "bucket_step": 16, "bucket_min": 32, "bucket_max": 128, "buckets": False}}


@pytest.fixture
def cat(home: Path) -> Path:
    return home / "pictures" / "cat"


class Page:
    """Asks as the page does."""

    def __init__(self, client: TestClient, folder: Path) -> None:
        self.client, self.folder = client, str(folder)

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.client.get(f"{V1}/{path}", params={"folder": self.folder, **parameters})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(f"{V1}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def page(client: TestClient, cat: Path) -> Page:
    return Page(client, cat)


def test_unsaved_captions_are_there_with_their_history(page: Page, cat: Path) -> None:
    opened = page.post("captions/open", folder=page.folder)
    captions = {p["name"]: (p["caption"], p["state"]) for p in opened["pictures"]}
    assert captions["1.png"] == ("a cat, tag 1, grey, lying, on grass", "changed")
    assert captions["0.png"] == ("a cat, tag 0, red, lying, on grass", "saved")
    assert captions["wide.png"] == ("a wide cat", "saved")
    history = opened["history"]
    assert (history["undo"], history["redo"]) == (
        "rename 'red' to 'grey' in 2 captions",
        "rename 'on grass' to 'on a sofa' in 1 caption",
    )
    assert (history["unsaved"], history["conflicts"], history["autosave"]) == (2, 0, False)
    assert (cat / "1.txt").read_text() == "a cat, tag 1, red, lying, on grass"


def test_caption_edits_are_redone_undone_and_saved(page: Page, cat: Path) -> None:
    target = {"folder": page.folder, "opened": page.post("captions/open", folder=page.folder)["opened"]}
    page.post("captions/redo", **target)
    assert page.post("captions/save", **target)["saved"] == 3
    assert (cat / "3.txt").read_text() == "a cat, tag 3, red, lying, on a sofa"
    assert (cat / "2.txt").read_text() == "a cat, tag 2, grey, lying, on grass"
    for _ in range(3):
        page.post("captions/undo", **target)
    page.post("captions/save", **target)
    assert (cat / "3.txt").read_text() == "a cat, tag 3, red, sitting, on grass", "as it was before the first edit"


def test_what_was_removed_is_in_the_trash_and_can_be_put_back(page: Page, cat: Path) -> None:
    (removal,) = page.get("datasets/removed")["removals"]
    assert {file["name"] for file in removal["files"]} == {"blurred.png", "blurred.txt", "blurred-mask.png"}
    assert page.post("datasets/restore", folder=page.folder, id=removal["id"])["files"] == 3
    assert (cat / "blurred.txt").read_text() == "a blurred cat" and (cat / "blurred.png").is_file()


def copies(page: Page) -> list[set[str]]:
    """Names of the copies that a report of the folder finds."""
    recipe = {"dataset": {**TOY["dataset"], "concepts": [{"instance": page.folder}]}}
    id = page.post("datasets/report", recipe=recipe)["id"]
    until(lambda: page.get(f"datasets/report/{id}")["state"] == "finished")
    groups = page.get(f"datasets/report/{id}/copies", start=0, count=10)["groups"]
    return [{file["name"] for file in group["files"]} for group in groups]


def test_copies_that_are_kept_are_not_reported(page: Page, cat: Path) -> None:
    assert copies(page) == []
    (cat / ".sdft" / "kept.json").unlink()
    assert copies(page) == [{"0.png", "0 again.png"}]


def test_a_crop_by_hand_and_prepared_pictures_are_recognized(page: Page, cat: Path) -> None:
    plan = page.post("preparation/plan", folder=page.folder, recipe=TOY)
    assert (plan["out"], plan["problem"]) == (str(cat.with_name("cat-prepared")), "")
    wide = next(item for item in plan["items"] if item["name"] == "wide.png")
    (cut,) = wide["cuts"]
    assert (
        wide["by_hand"] and cut["x"] + cut["width"] / 2 == pytest.approx(0.75) and cut["height"] == pytest.approx(0.8)
    )
    page.post("preparation", folder=page.folder, recipe=TOY)
    done = until(lambda: (status := page.get("preparation"))["state"] == "finished" and status)
    assert (done["written"], done["skipped"], done["problems"]) == (0, 8, [])


def test_masks_are_there_and_the_former_ones_are_kept(page: Page, cat: Path) -> None:
    mask = page.get("preparation/mask", name="5.png")
    assert mask["mask"].startswith("data:image/png;base64,") and mask["version"].startswith("5-mask.png:")
    (former,) = (cat / ".sdft" / "masks").iterdir()
    assert former.name.startswith("5-mask-")


def test_drawn_regularization_pictures_are_known(client: TestClient) -> None:
    (job,) = client.get(f"{V1}/regularization").json()["jobs"]
    assert (job["done"], job["wanted"]["count"], job["wanted"]["prompts"]) == (1, 2, ["a cat"])
    assert len(job["newest"]) == 1 and job["started"] < time.time()
    assert json.loads((Path(job["folder"]) / ".sdft" / "regularization.json").read_text())
