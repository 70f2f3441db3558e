"""The WebUI's folders and lists: where saves go, how the lists are updated, and what is pasted into the txt2img tab."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...recipe import METHOD_INFO, Recipe
from ..base import Destination, HostError
from .infotext import infotext
from .prompts import Kind


def lora_folder() -> Path:
    """Name the folder of LoRAs."""
    from modules import paths, shared

    return Path(getattr(shared.cmd_opts, "lora_dir", None) or Path(paths.models_path) / "Lora")


def checkpoint_folder() -> Path:
    """Name the folder of checkpoints."""
    from modules import sd_models, shared

    return Path(getattr(shared.cmd_opts, "ckpt_dir", None) or sd_models.model_path)


def folder_for(method: str) -> Path:
    """Name the folder where the WebUI looks for the files of a method."""
    from modules import shared

    saved_as = METHOD_INFO[method].saved_as
    if saved_as == "lora":
        return lora_folder()
    if saved_as == "checkpoint":
        return checkpoint_folder()
    return Path(getattr(shared.cmd_opts, {"embedding": "embeddings_dir", "hypernetwork": "hypernetwork_dir"}[saved_as]))


def kind_of(path: Path) -> Kind:
    """Tell how a prompt calls a save in one of these folders."""
    if path.suffix == ".pt":
        return "hypernet"
    embeddings = folder_for("textual_inversion")
    return "embedding" if path.resolve().is_relative_to(embeddings.resolve()) else "lora"


def innermost(path: Path, folders: Mapping[str, Path]) -> str | None:
    """Name the innermost of the folders that contains the file, as one can contain another; None where none does."""
    file = path.resolve()
    whole = {name: folder.resolve() for name, folder in folders.items()}
    depths = {name: len(folder.parts) for name, folder in whole.items() if file.is_relative_to(folder)}
    return max(depths, key=depths.__getitem__) if depths else None


def models(method: str) -> list[Path]:
    """List the files of a method in the WebUI's own lists; of kinds without a list, the files in their folder."""
    from modules import sd_models

    saved_as = METHOD_INFO[method].saved_as
    if saved_as == "checkpoint":
        found = [Path(known.filename) for known in list(sd_models.checkpoints_list.values())]
    elif saved_as == "lora":
        networks: Any = sys.modules.get("networks")
        found = [Path(known.filename) for known in list(getattr(networks, "available_networks", {}).values())]
    else:
        folder = folder_for(method)
        files = folder.rglob("*") if folder.is_dir() else ()
        found = [path for path in files if path.suffix.lower() in (".safetensors", ".pt", ".bin")]
    return sorted({path for path in found if path.is_file()}, key=lambda path: path.name.lower())


def checkpoint_name(path: Path) -> str:
    """Give the title of a checkpoint in the WebUI's list, which is read again. Call it with the lock held. Raises
    HostError.
    """
    from modules import sd_models

    publish_checkpoint()
    file = path.resolve()
    for title, known in sd_models.checkpoints_list.items():
        if Path(known.filename).resolve() == file:
            return str(title)
    raise HostError(
        f"The WebUI doesn't list {path}: put it into {checkpoint_folder()}, where checkpoints are looked for."
    )


def publish(path: Path) -> None:
    """Update the WebUI's lists for a save that was written or deleted. Call it with the lock held."""
    kind = kind_of(path)
    folders = {method: folder_for(method) for method in ("lora", "textual_inversion", "hypernetwork", "full")}
    if innermost(path, folders) == "full":
        publish_checkpoint()
    elif kind == "lora":
        publish_lora(path)
    elif kind == "embedding":
        from modules import sd_hijack

        sd_hijack.model_hijack.embedding_db.load_textual_inversion_embeddings(force_reload=True)
        forget_prompts()
    else:
        from modules import shared

        shared.reload_hypernetworks()
        # A loaded one is known by its name: its old content would be used on.
        shared.loaded_hypernetworks[:] = [one for one in shared.loaded_hypernetworks if one.name != path.stem]


def publish_checkpoint() -> None:
    """Read the list of checkpoints again; the chosen one stays chosen (with --ckpt, listing would choose that one)."""
    from modules import sd_models, shared

    chosen = shared.opts.data.get("sd_model_checkpoint")
    sd_models.list_models()
    if chosen is not None:
        shared.opts.data["sd_model_checkpoint"] = chosen


def runs_folder() -> Path:
    """Name the folder of runs: the setting, or ``sdft`` in the data folder."""
    from modules import paths, shared

    return Path(getattr(shared.opts, "sdft_runs_folder", "").strip() or Path(paths.data_path) / "sdft")


def allowed_folders() -> list[Path]:
    """List the dataset folders of the settings, the runs, and the WebUI's own folders of models and pictures."""
    from modules import paths, shared

    roots = str(getattr(shared.opts, "sdft_dataset_roots", "")).splitlines()
    outputs = [str(value) for name, value in shared.opts.data.items() if name.startswith("outdir_")]
    named = [Path(text.strip()) for text in [*roots, *outputs] if text.strip()]
    data = Path(paths.data_path)
    return [runs_folder(), Path(paths.models_path), lora_folder(), *(data / path for path in named)]


def publish_lora(path: Path) -> None:
    """Update the Lora extension's lists for a file that was written or deleted. Call it with the lock held.

    What still has the old content of a file of this name is marked as outdated: merged weights, the loaded network,
    encoded prompts.
    """
    from .model import current

    networks: Any = sys.modules.get("networks")
    if not hasattr(networks, "process_network_files"):
        return
    for name, known in list(networks.available_networks.items()):
        file = Path(known.filename)
        if name == path.stem or (file.parent == path.parent and not file.exists()):
            networks.available_networks.pop(name, None)
            for alias, entry in list(networks.available_network_aliases.items()):
                if entry is known:
                    del networks.available_network_aliases[alias]
    if path.exists():
        networks.process_network_files([path.stem])
    networks.networks_in_memory.pop(path.stem, None)
    lent = current()
    for module in lent.modules() if lent is not None else ():
        if any(entry[0] == path.stem for entry in getattr(module, "network_current_names", ())):
            module.network_current_names = (("(written anew)", 0, 0, None),)
    forget_prompts()


def forget_prompts() -> None:
    """Have the prompts of the last generation encoded again: the networks that they call may have changed."""
    from modules.processing import StableDiffusionProcessing, StableDiffusionProcessingTxt2Img

    for owner in (StableDiffusionProcessing, StableDiffusionProcessingTxt2Img):
        for cache in ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc"):
            if cache in vars(owner):
                setattr(owner, cache, [None, None])


def handover(
    to: Destination, recipe: Recipe, saves: Sequence[str], weights: Sequence[float], prompts: Sequence[str]
) -> str:
    """Write the text that the paste button takes, with the user's present settings, so that nothing else changes."""
    from modules import infotext_utils, shared

    text = infotext(to, recipe, saves, weights, prompts)
    found = infotext_utils.get_override_settings(infotext_utils.parse_generation_parameters(text, []))
    present = {name: str(getattr(shared.opts, setting)) for name, setting, _ in found}
    return infotext(to, recipe, saves, weights, prompts, present)
