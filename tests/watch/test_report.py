"""The report: made from a run's folder alone, true to it, and safe to show."""

import hashlib
import json

import pytest
from PIL import Image

from sdft_ext.recipe import Recipe, WatchRecipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run_folder.facts import add_facts, read_facts
from sdft_ext.run_folder.log import Log
from sdft_ext.run_folder.saves import Saves
from sdft_ext.watch.controls import Controls
from sdft_ext.watch.report import report

NASTY = "a|b <script>alert(1)</script> `c` [d](javascript:e) *f* & 🐈\n# g"


def dataset(problems=2):
    return {
        "concepts": [
            {
                "name": NASTY,
                "kind": "subject",
                "trigger": "s`k|s",
                "instance_pictures": 12,
                "regularization_pictures": 240,
            }
        ],
        "steps_per_epoch": 6,
        "total_steps": 60,
        "buckets": [{"width": 64, "height": 48, "instance_pictures": 12, "regularization_pictures": 240}],
        "advice": ["Use more pictures."],
        "problems": [{"file": "x.png", "text": f"x{n}.png is cut off.", "skipped": True} for n in range(problems)],
    }


@pytest.fixture
def folder(tmp_path):
    """A finished run."""
    run = tmp_path / "my run"
    recipe = Recipe(watch=WatchRecipe(concept_prompts=[NASTY], bleeding_prompts=[""], tensorboard=False))
    recipe.save.name = "my cat"
    recipe_file.write(run / "recipe.yaml", recipe)
    log, controls = Log(run, recipe.watch), Controls(run, recipe.watch)
    controls.draw(0, lambda prompts, seeds: [Image.new("RGB", (64, 64), "red") for _ in prompts])
    for step in range(1, 61):
        log.write(step, {"loss": 1 / step, "smoothed": 2 / step, "lr/unet": 1e-4})
    controls.draw(60, lambda prompts, seeds: [Image.new("RGB", (64, 64), "blue") for _ in prompts])
    log.event(60, "warning", text=NASTY)
    log.close()
    saves = Saves(run, recipe.save.name, 0)
    saves.write(30, 5, 0.5, False, lambda path: path.write_bytes(b"half") and ())
    saves.write(60, 10, 0.25, True, lambda path: path.write_bytes(b"whole") and ())
    add_facts(run, dataset=dataset(), outcome="finished", message="Finished after 60 steps.", train_seconds=83.0)
    add_facts(run, readback_max_diff=1e-4, versions={"torch": "2.1.2"}, notes=["Rank 64 was cut to 32."])
    return run


def test_for_programs(folder):
    data = report(folder)
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == json.loads(json.dumps(data))
    assert (data["outcome"], data["verdict"], data["steps"]) == ("finished", "fine", 60)
    assert data["train_seconds"] == 83.0 and data["readback_max_diff"] == 1e-4 and data["final_loss"] == 2 / 60
    assert data["saves"] == [
        str(folder / "saves" / name) for name in ("my cat-000030.safetensors", "my cat.safetensors")
    ]
    save = data["save_table"][1]
    assert (save["step"], save["epoch"], save["loss"], save["bytes"]) == (60, 10, 0.25, 5)
    assert save["sha256"] == hashlib.sha256(b"whole").hexdigest()
    first = data["controls"][0]
    assert (first["set"], first["prompt"], first["seed"]) == ("concept", NASTY, 1000)
    assert Image.open(folder / first["first"]).getpixel((0, 0)) == (255, 0, 0)
    assert Image.open(folder / first["last"]).getpixel((0, 0)) == (0, 0, 255)
    assert data["warnings"] == [NASTY]


def test_for_people(folder):
    Image.new("RGB", (9, 9)).save(folder / "controls" / "grid.png")
    report(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    for part in (
        "# my cat\n",
        "**Finished** after 60 steps in 1 min 23 s",
        "![The loss over the steps](loss.png)",
        "(controls/grid.png)",
        "| [my cat\\-000030.safetensors](saves/my%20cat-000030.safetensors) | 30 | 5 | 0.5000 |".replace("\\-", "-"),
        hashlib.sha256(b"whole").hexdigest()[:12],
        "| bleeding | (empty prompt) | ![before](controls/bleeding/00/step-000000.png) |",
        "12 instance pictures, 240 regularization",
        "bucket 64×48",
        "Use more pictures.",
        "x0.png is cut off.",
        "Rank 64 was cut to 32.",
        "torch 2.1.2",
        "0.0001",
    ):
        assert part in text, part
    with Image.open(folder / "loss.png") as chart:
        assert chart.width > 500


def test_names_can_not_break_out_of_the_page(folder):
    report(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "<script" not in text and "[d](javascript" not in text and "\n# g" not in text
    assert "\\|b &lt;script&gt;" in text
    rows = [line for line in text.splitlines() if line.startswith("| concept")]
    assert len(rows) == 1 and rows[0].replace("\\|", "").count("|") == 5


def test_figures_stand_in_both(folder):
    add_facts(
        folder,
        base_quality={"colour": 0.99, "background": 1.0, "shape": 0.95},
        concept_learned=0.9375,
        bleeding=0.03125,
        bleeding_groups={"class word": 0.0, "empty prompt": 0.03125},
        copies={"copied": 0.25},
    )
    data = report(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert data["concept_learned"] == 0.9375 and data["base_quality"]["shape"] == 0.95
    for part in ("94%", "3.1%", "empty prompt", "99%", "25.0%"):
        assert part in text
    assert report(folder) == data  # nothing is lost when it is written again


def test_a_moved_run_can_be_reported(folder):
    moved = folder.parent / "elsewhere"
    folder.rename(moved)
    data = report(moved)
    assert all(str(moved) in path for path in data["saves"]) and data["save_table"][0]["bytes"] == 4


def test_missing_saves_are_reported(folder):
    (folder / "saves" / "my cat.safetensors").unlink()
    data = report(folder)
    assert data["save_table"][1]["bytes"] is None
    assert "| missing |" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_thousand_problems_are_shortened_on_the_page_only(folder):
    add_facts(folder, dataset=dataset(problems=1000))
    data = report(folder)
    assert len(data["dataset"]["problems"]) == 1000
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert text.count("is cut off") == 20 and "and 980 more" in text


def test_a_broken_run(folder):
    add_facts(folder, outcome="failed", message="The loss became nan at step 61.", readback_max_diff=float("nan"))
    data = report(folder)
    assert data["verdict"] in ("failed", "diverged") and data["advice"] == "The loss became nan at step 61."
    json.loads((folder / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert "**Failed**" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_run_that_has_hardly_begun(tmp_path):
    recipe_file.write(tmp_path / "recipe.yaml", Recipe())
    data = report(tmp_path)
    assert data["steps"] == 0 and data["saves"] == [] and (tmp_path / "report.md").exists()
    assert read_facts(tmp_path) == {}
