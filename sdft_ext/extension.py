"""The extension as the WebUI sees it: its tab, its settings, its routes, and its axes of the X/Y/Z plot.

A Reload UI executes the script again and makes a new page and a new app; the desk, and with it a run that is training,
stays: it belongs to this module, which is imported once. Heavy packages (diffusers, peft) are imported later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .host import missing
from .host.base import Host
from .host.webui import files, xyz

if TYPE_CHECKING:
    from fastapi import FastAPI

    from .api import Access
    from .desk import Desk
    from .recipe import Recipe

TITLE, TAB, SECTION = "Fine-tune", "sdft", ("sdft", "Fine-tune")
_DESK: Desk | None = None


def register() -> None:
    """Register the WebUI's callbacks; ``scripts/fine_tune.py`` calls this."""
    from modules import script_callbacks

    script_callbacks.on_ui_settings(add_settings)
    script_callbacks.on_before_ui(xyz.add_axes)
    script_callbacks.on_after_component(send_button)
    script_callbacks.on_ui_tabs(tab)
    script_callbacks.on_app_started(add_routes)


def desk() -> Desk:
    """Return the desk of this process."""
    global _DESK
    if _DESK is None:
        from .desk import Desk

        wanted = missing.missing()
        lacking = ([package.name for package in wanted], missing.command(wanted)) if wanted else None
        _DESK = Desk(host, files.runs_folder(), missing=lacking)
    return _DESK


def host(_recipe: Recipe | None = None) -> Host:
    """Make a host for one run, or to ask what is loaded: always the WebUI's own model, whatever the recipe names."""
    from .host.webui.host import WebUIHost

    return WebUIHost()


def tab() -> list[tuple[Any, str, str]]:
    """Make the tab: an empty element that the page's own code fills, and the hidden button that pastes into txt2img."""
    import gradio as gr
    from modules import infotext_utils

    with gr.Blocks(analytics_enabled=False) as page:
        gr.HTML('<div id="sdft_root"></div>')
        payload = gr.Textbox(visible=False, elem_id="sdft_payload")
        paste = gr.Button(visible=False, elem_id="sdft_paste")
    for part in (payload, paste):
        part.do_not_save_to_config = True
    infotext_utils.register_paste_params_button(
        infotext_utils.ParamBinding(paste_button=paste, tabname="txt2img", source_text_component=payload)
    )
    return [(page, TITLE, TAB)]


def send_button(_component: Any, **facts: Any) -> None:
    """Add a button to the "Send to …" buttons below a gallery; ``javascript/fine_tune.mjs`` listens to it."""
    after = str(facts.get("elem_id") or "")
    if after not in ("txt2img_send_to_extras", "img2img_send_to_extras"):
        return
    from modules.ui_components import ToolButton

    name = after.replace("extras", "sdft")
    button = ToolButton("🎓", elem_id=name, tooltip="Send image and prompt to the dataset of the Fine-tune tab.")
    button.do_not_save_to_config = True


def add_settings() -> None:
    import gradio as gr
    from modules import shared

    def option(default: str, label: str, **component: Any) -> Any:
        return shared.OptionInfo(
            default, label, gr.Textbox, component, section=SECTION, category_id="training", restrict_api=True
        )

    shared.opts.add_option(
        "sdft_dataset_roots",
        option("", "Folders with training pictures", lines=4).info(
            "one a line; the tab can use pictures in these folders and in the WebUI's own"
        ),
    )
    shared.opts.add_option(
        "sdft_runs_folder",
        option("", "Folder of the runs").info("empty: sdft in the WebUI's data folder").needs_restart(),
    )
    shared.opts.add_option(
        "sdft_names",
        option("", "Names of this server")
        .info("where it is reached by a name without a login, such as studio.example.org; several with commas")
        .needs_reload_ui(),
    )


def add_routes(_demo: Any, app: FastAPI) -> None:
    """Add the API and the page's code to each app that the WebUI makes (without a page, the first argument is None)."""
    from . import api

    api.mount(app, desk(), access())


def access() -> Access:
    """Return who may use the API, by the WebUI's command-line options."""
    from modules import shared

    from .api import Access

    options = shared.cmd_opts
    own = [name.strip() for name in shared.opts.data.get("sdft_names", "").replace(",", " ").split()]
    names = (*([options.server_name] if options.server_name else []), *own)
    return Access(api_auth=options.api_auth or "", local=not options.webui_is_non_local, names=names)
