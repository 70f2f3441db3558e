"""A run's turns with its host's model: waiting for the right one, and doing over what the host disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from ..control import RunControl
from ..errors import SdftError
from ..host.base import Files, Host, HostChanged, HostError
from ..model.base import Model
from ..out_of_memory import let_go

T = TypeVar("T")
LOOK_AGAIN = 0.5
"""Seconds between looks at a host that has another model loaded."""


class ModelUnavailable(SdftError, RuntimeError):
    """The run was told to stop while its host had another model loaded."""


class Turns:
    """The turns of one run. ``tell`` hears what it waits for, once for each wait; nothing is held meanwhile."""

    def __init__(self, host: Host, control: RunControl, tell: Callable[[str], None]) -> None:
        self.host, self.control, self.tell = host, control, tell
        self._model: Model | None = None
        self._inside = False
        self._places: list[tuple[str, int]] = []
        self.needed: Callable[[], Sequence[Tensor]] | None = None
        """Where a run steps alone: what stays in its place then (see ``mode``)."""
        self._alone: ExitStack | None = None

    def borrow(self, wanted: Files | None) -> Model:
        """The host's model. A run that began with other files waits for those. Raises HostError, and Gone."""
        told = False
        while wanted is not None and not wanted.same(self._loaded()):
            name = Path(wanted.base).name + (f" with the VAE {Path(wanted.vae).name}" if wanted.vae else "")
            self._wait(HostChanged(f"This run trains {name}: load that ({wanted.base}), then it goes on."), told)
            told = True
        self._model = self.host.borrow()
        return self._model

    def _loaded(self) -> Files:
        """What the host has loaded; nothing is as good as another model for a run that waits."""
        try:
            return self.host.files()
        except HostError:
            return Files("")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The host's lock and the model in its place. A turn inside a turn is that turn. Raises Gone."""
        if self._inside:
            yield
            return
        self.share()
        with ExitStack() as held:
            self._enter(held)
            self._inside, self._places = True, self._where()
            try:
                yield
            finally:
                self._inside = False

    def do(self, work: Callable[[], T], again: Callable[[], bool] = lambda: True, step: bool = False) -> T:
        """Work in a turn of its own; once more where the host moved the model meanwhile, if ``again`` agrees.

        Some of the host's buttons move its model without taking its lock. A ``step`` of a run that steps alone is done in one
        turn with those before it.
        """
        if self._inside:
            return work()
        if step and self.needed is not None:
            return self._step_alone(work, again, self.needed)
        try:
            with self.turn():
                return work()
        except RuntimeError:
            if self._where() == self._places or not again():
                raise
        with self.turn():
            return work()

    def _step_alone(
        self, work: Callable[[], T], again: Callable[[], bool], needed: Callable[[], Sequence[Tensor]]
    ) -> T:
        if self._alone is None:
            with ExitStack() as held:
                self._enter(held)
                held.enter_context(self.host.offload(needed()))
                self._alone, self._places = held.pop_all(), self._where()
        self._inside = True
        try:
            return work()
        except BaseException as error:
            moved = isinstance(error, RuntimeError) and self._where() != self._places
            self._inside = False
            let_go(error)  # what was put aside needs the room
            self.share()
            if not moved or not again():
                raise
        finally:
            self._inside = False
        return self._step_alone(work, lambda: False, needed)

    def share(self) -> None:
        """What was put aside is back in its place, and whoever waits gets the model."""
        alone, self._alone = self._alone, None
        if alone is not None:
            alone.close()

    def publish(self, path: Path) -> None:
        """Tell the host of a save."""
        self.share()
        self.host.publish(path)

    def _enter(self, held: ExitStack) -> None:
        told = False
        while True:
            try:
                held.enter_context(self.host.turn())
                return
            except HostChanged as changed:
                self._wait(changed, told)
                told = True

    def _wait(self, changed: HostChanged, told: bool) -> None:
        if self.control.stopping:
            raise ModelUnavailable(str(changed)) from changed
        if not told:
            self.tell(str(changed))
        self.control.wait(LOOK_AGAIN)

    def _where(self) -> list[tuple[str, int]]:
        """Where each of the model's parameters lies."""
        if self._model is None:
            return []
        return [
            (str(parameter.device), 0 if parameter.is_meta else parameter.data_ptr())
            for module in self._model.modules
            for parameter in module.parameters()
        ]
