"""Twenty real photographs, unchanged, from the folder to batches of a real VAE's latents."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sdft_ext.analysis.summary import summarize
from sdft_ext.dataset.batches import Batches
from sdft_ext.dataset.cache import Latents
from sdft_ext.dataset.cache_files import fingerprint
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import TrainRecipe
from tests.analysis.images import recipe
from tests.dataset.photographs import COUNT, write_photographs


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    assert len(write_photographs(folder)) == COUNT == 20
    return folder


def test_photographs_to_batches(photographs: Path, tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    settings = recipe(photographs, cache="disk", flip=0.5)
    found = scan(settings)
    assert len(found.pictures) == 20 and found.problems == ()
    assert len({(p.width, p.height) for p in found.pictures}) > 8
    assert any(p.has_alpha for p in found.pictures)

    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(0)
        vae = diffusers.AutoencoderKL(
            block_out_channels=(8, 8, 16, 16),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4,
            sample_size=64,
        ).eval()

    def encode(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            gaussian = vae.encode(pixels).latent_dist
        return gaussian.mean * 0.18215, gaussian.std * 0.18215

    name = fingerprint(vae.state_dict(), 0.18215)
    latents = Latents(settings, encode, name, tmp_path / "cache")
    assert latents.prepare(found) == found
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 40
    plan = Plan(found, settings, TrainRecipe(batch_size=2))
    text = summarize(found, plan).text
    assert len(plan.queues) > 1 and all(str(queue.bucket) in text for queue in plan.queues)
    batches = Batches(plan, latents)
    seen: list[int] = []
    for step in range(plan.steps_per_epoch * 2):
        batch = batches.at(step)
        assert batch.latents.isfinite().all() and batch.latents.std() > 0
        assert tuple(batch.latents.shape[2:]) == (batch.time_ids[0, 4] / 8, batch.time_ids[0, 5] / 8)
        seen += batch.pictures
    assert set(seen) == set(range(20))

    again = Latents(settings, encode, name, tmp_path / "cache")
    again.prepare(found)
    assert torch.equal(Batches(plan, again).at(3).latents, batches.at(3).latents)
