"""After the last step: the last save is read back and compared with the weights in memory, and the grid of saves is
drawn.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from torch.profiler import record_function

from ..control import Interrupted, RunControl
from ..model.probe import fixed_prediction
from ..run_folder.facts import add_facts, read_facts
from ..run_folder.saves import Saves
from ..watch.controls import Controls
from ..watch.painter import DrawingError, Painter
from ..watch.surroundings import release_memory
from .display import Display
from .setup import Session
from .turns import ModelUnavailable

NOT_PROVEN = "The last save was not verified, and there is no grid: the run was stopped while its model was not loaded."


def prove_and_draw_grid(
    session: Session, saves: Saves, controls: Controls, display: Display, control: RunControl
) -> None:
    """Prove the last save against the weights in memory, then draw all saves as a grid, unless the run was told to
    stop: its user wants the device back (``grid.draw_grid`` draws it later).

    In between, the training lets go of the memory that only it needed. What can't be done is noted for the report: the
    training itself is complete.
    """
    display.verifying(control.stopping)
    turns = session.turns
    painter = Painter(session.recipe, session.model, turns.do, display.drawing, control.check)
    with record_function("run.proof"):
        try:
            with session.loop.weights_to_show():
                in_memory = turns.do(lambda: answer(session))
            with turns.turn():
                session.method.detach()
            session.loop.end()
            release_memory()
            turns.do(lambda: prove(session, saves, in_memory))
            control.check()
            painter.draw_grid(saves, controls, session.method, controls.folder / "grid.png")
        except Interrupted:
            return  # the grid is drawn when somebody asks for it
        except ModelUnavailable:
            _note(session.folder, NOT_PROVEN)
        except DrawingError as error:
            _note(session.folder, f"There is no grid of the saves. {error}")


def prove(session: Session, saves: Saves, in_memory: Tensor) -> None:
    """Read the last save back: with it, the model must answer a fixed question as it did with the weights in memory."""
    if not saves.all():
        return
    with session.method.applied(saves.paths()[-1], session.model):
        read_back = answer(session)
    add_facts(session.folder, readback_max_diff=float((read_back - in_memory).abs().max()))


def answer(session: Session) -> Tensor:
    """Ask the model one fixed question, with the first control prompt or the trigger."""
    recipe = session.recipe
    prompt = next(iter([*recipe.watch.concept_prompts, recipe.dataset.concepts[0].trigger]))
    return fixed_prediction(session.model, prompt, recipe.dataset.resolution, recipe.model.clip_skip)


def _note(folder: Path, text: str) -> None:
    """Add a sentence to the report."""
    add_facts(folder, notes=[*read_facts(folder).get("notes", []), text])
