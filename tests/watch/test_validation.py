"""Stabilized validation: the same question each time, so that only the weights move the answer."""

import torch
from torch import Tensor

from sdft_ext.dataset.batches import Batches
from sdft_ext.dataset.cache import Latents
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import Recipe, TrainRecipe
from sdft_ext.watch.validation import Validation
from tests.analysis.images import Cells, fill, recipe


def validation(tmp_path, held_out=(1, 3), draws=4, **train):
    if not (tmp_path / "instance").exists():
        fill(tmp_path / "instance", 4, 64, 64)
        fill(tmp_path / "instance" / "wide", 3, 128, 64, first=10)
    settings = Recipe(dataset=recipe(tmp_path / "instance"), train=TrainRecipe(batch_size=2, **train))
    settings.watch.validation_draws = draws
    latents = Latents(settings.dataset, Cells(), "vae", None)
    found = latents.prepare(scan(settings.dataset))
    return Validation(settings, Batches(Plan(found, settings.dataset, settings.train, list(held_out)), latents))


class Asked:
    """Answers with a loss that depends on all it gets, and keeps the questions."""

    def __init__(self):
        self.questions = []

    def __call__(self, batch, noise: Tensor, timesteps: Tensor) -> Tensor:
        self.questions += [
            (picture, int(t), noise[i].sum().item())
            for i, (picture, t) in enumerate(zip(batch.pictures, timesteps, strict=True))
        ]
        return (noise * batch.latents).mean((1, 2, 3)) + timesteps / 1000


def test_the_same_questions_each_time(tmp_path):
    one, two, three = Asked(), Asked(), Asked()
    check = validation(tmp_path)
    torch.manual_seed(1)
    first = check.losses(one)
    torch.manual_seed(2)
    assert check.losses(two) == first and one.questions == two.questions
    assert validation(tmp_path).losses(three) == first and three.questions == one.questions


def test_held_out_pictures_and_as_many_of_the_others(tmp_path):
    asked = Asked()
    found = validation(tmp_path, held_out=[1, 3], draws=5).losses(asked)
    assert set(found) == {"validation/held_out", "validation/training"}
    pictures = [question[0] for question in asked.questions]
    assert {pictures.count(picture) for picture in set(pictures)} == {5}
    assert {1, 3} < set(pictures) and len(set(pictures)) == 4
    assert len({question[2] for question in asked.questions}) == 20  # another noise for each
    times = sorted({question[1] for question in asked.questions})
    assert times == [100, 300, 500, 700, 900]


def test_the_mean_is_over_pictures_and_draws(tmp_path):
    found = validation(tmp_path, held_out=[1, 3]).losses(lambda batch, noise, times: times.float())
    assert found == {"validation/held_out": 500.0, "validation/training": 500.0}


def test_nothing_held_out_leaves_the_training_pictures(tmp_path):
    asked = Asked()
    assert set(validation(tmp_path, held_out=[]).losses(asked)) == {"validation/training"}
    assert len({question[0] for question in asked.questions}) == 7


def test_settings_that_change_it(tmp_path):
    def questions(**settings):
        asked = Asked()
        validation(tmp_path, **settings).losses(asked)
        return asked.questions

    base = questions()
    assert questions(seed=2) != base and questions(draws=3) != base
    times = {question[1] for question in questions(timestep_min=200, timestep_max=299)}
    assert min(times) >= 200 and max(times) <= 299 and len(times) == 4
