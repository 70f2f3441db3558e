"""python -m tests.host.bare_loop CHECKPOINT SIDE STEPS: prints how many MiB a training loop adds to its process's
memory.

What anybody would write with diffusers, peft and torch alone: noise, forward, mean squared error, backward, clip,
AdamW, on a model that is loaded already.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import torch
from diffusers import DDPMScheduler
from diffusers.models.attention_processor import AttnProcessor2_0
from peft.tuners.lora import LoraLayer

from sdft_ext.method.lora import LoraMethod
from sdft_ext.model.load import load
from sdft_ext.model.text import encode
from sdft_ext.recipe import Recipe
from tests.host.lending_routes import peak, resident


def main(checkpoint: Path, side: int, steps: int) -> None:
    model = load(checkpoint)
    for module in model.modules:
        for parameter in module.parameters():
            parameter.data = parameter.data.clone()  # in memory, not on pages of the file that are read when touched
    gc.collect()
    peak(reset=True)
    before = resident()
    method = LoraMethod()
    method.attach(model, Recipe())
    assert any(isinstance(module, LoraLayer) for module in model.unet.modules())
    model.unet.set_attn_processor(AttnProcessor2_0())
    model.unet.train()
    parameters = [parameter for group in method.groups() for parameter in group.parameters]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    scheduler = DDPMScheduler(1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    latents = torch.randn(1, 4, side // 8, side // 8)
    for _ in range(steps):
        context = encode(model, ["a cat"], 1).context
        noise, timesteps = torch.randn_like(latents), torch.randint(0, 1000, (1,))
        answer = model.unet(scheduler.add_noise(latents, noise, timesteps), timesteps, context, return_dict=False)[0]
        loss = torch.nn.functional.mse_loss(answer, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    print(peak() - before)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
