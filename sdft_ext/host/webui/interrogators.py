"""The WebUI's own interrogators, where their weights exist. Nothing is downloaded for them.

The WebUI itself downloads what is missing (its *Interrogate* buttons); here a sentence tells the user.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...taggers.base import Kind, Seen, Tag, Tagger, TaggerError

if TYPE_CHECKING:
    from PIL import Image

BLIP = "model_base_caption_capfilt_large.pth"
DEEPBOORU = "model-resnet_custom_v3.pt"
VOCABULARY = "bert-base-uncased"
LEAST = 0.05


def taggers() -> list[Tagger]:
    """List the interrogators, also those that lack their weights."""
    return [Blip(), DeepDanbooru()]


def folder() -> Path:
    """Name the folder of WD14 taggers."""
    from modules import paths

    return Path(paths.models_path) / "taggers"


class Blip:
    """Writes sentences, with the WebUI's model and its settings of length and beams."""

    id, label, sentences = "blip", "BLIP (the WebUI's, sentences)", True

    @property
    def why(self) -> str:
        from modules import paths

        place = Path(paths.models_path) / "BLIP"
        if not list(place.glob("*.pth")):
            return (
                f"BLIP's weights are missing: put {BLIP} into {place} (or press Interrogate CLIP in img2img, which "
                f"fetches "
                "it)."
            )
        if "BLIP" not in paths.paths:
            return (
                "BLIP's code is missing in the WebUI's repositories: start the WebUI without "
                "--skip-prepare-environment."
            )
        if not _vocabulary():
            return (
                f"BLIP's vocabulary ({VOCABULARY}) is not in the cache of Hugging Face: press Interrogate CLIP in "
                f"img2img "
                "once, which fetches it."
            )
        return ""

    def see(self, picture: Image.Image) -> Seen:
        from modules import devices, shared, torch_utils
        from modules.call_queue import queue_lock

        if self.why:
            raise TaggerError(self.why)
        with queue_lock:
            own: Any = shared.interrogator
            if own.blip_model is None:
                own.blip_model = own.load_blip_model()
                if not shared.cmd_opts.no_half and not own.running_on_cpu:
                    own.blip_model = own.blip_model.half()
            own.blip_model = own.blip_model.to(devices.device_interrogate)
            own.dtype = torch_utils.get_param(own.blip_model).dtype
            with devices.autocast():
                return Seen(sentence=" ".join(str(own.generate_caption(picture)).split()))

    def close(self) -> None:
        from modules import shared
        from modules.call_queue import queue_lock

        with queue_lock:
            shared.interrogator.send_blip_to_ram()


class DeepDanbooru:
    """Gives tags with scores, before the WebUI's own threshold and filters."""

    id, label, sentences = "deepdanbooru", "DeepDanbooru (the WebUI's, tags)", False

    @property
    def why(self) -> str:
        from modules import paths

        place = Path(paths.models_path) / "torch_deepdanbooru"
        if not list(place.glob("*.pt")):
            return (
                f"DeepDanbooru's weights are missing: put {DEEPBOORU} into {place} (or press Interrogate DeepBooru in "
                "img2img, which fetches it)."
            )
        return ""

    def see(self, picture: Image.Image) -> Seen:
        import numpy as np
        import torch
        from modules import deepbooru, devices, images
        from modules.call_queue import queue_lock

        if self.why:
            raise TaggerError(self.why)
        with queue_lock, torch.no_grad(), devices.autocast():
            own = deepbooru.model
            own.start()
            values = np.asarray(images.resize_image(2, picture, 512, 512), dtype=np.float32)[None] / 255
            scores = own.model(torch.from_numpy(values).to(devices.device, devices.dtype))[0].detach().float().cpu()
        found = [
            _tag(str(name), float(score)) for name, score in zip(own.model.tags, scores, strict=True) if score >= LEAST
        ]
        return Seen(tuple(sorted(found, key=lambda tag: -tag.score)))

    def close(self) -> None:
        from modules import deepbooru
        from modules.call_queue import queue_lock

        with queue_lock:
            if deepbooru.model.model is not None:
                deepbooru.model.stop()


def _tag(name: str, score: float) -> Tag:
    kind: Kind = "rating" if name.startswith("rating:") else "general"
    return Tag(name.removeprefix("rating:"), score, kind)


def _vocabulary() -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(VOCABULARY, "vocab.txt"), str)
