"""A run's turns with its host's model: waiting until the right one is loaded, and repeating work that the host
disturbed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from ..control import RunControl
from ..errors import SdftError
from ..host.base import Files, Host, HostChanged, HostError
from ..model.base import Model
from ..out_of_memory import clear_frames

T = TypeVar("T")
LOOK_AGAIN = 0.5
"""Seconds between looks at a host that has another model loaded."""
PATIENCE = 60.0
"""Seconds before a model is loaded again that somebody has replaced while the run trained."""


class ModelUnavailable(SdftError, RuntimeError):
    """The run was told to stop while its host had another model loaded."""


def wait_for_model(
    attempt: Callable[[], T],
    control: RunControl,
    on_wait: Callable[[str], None],
    wanted: Files | None = None,
    patience: float = 0.0,
) -> T:
    """Call ``attempt`` again and again until it no longer raises HostChanged, and give what it gives.

    After ``patience`` seconds, the ``wanted`` model is loaded where the control allows it. ``on_wait`` gets the reason
    once, and why the model can't be loaded. No lock is held meanwhile. Raises ModelUnavailable where the control says
    stop.
    """
    announced, loaded, since = False, False, time.monotonic()
    while True:
        try:
            return attempt()
        except HostChanged as changed:
            if control.stopping:
                raise ModelUnavailable(str(changed)) from changed
            if not announced:
                on_wait(str(changed))
            announced = True
            if wanted is not None and time.monotonic() - since >= patience:
                try:
                    if control.load_model(wanted.base, wanted.vae) and not loaded:
                        loaded = True
                        continue
                except SdftError as error:
                    on_wait(f"{changed} {error}")
                    wanted = None
        control.wait(LOOK_AGAIN)


class Turns:
    """The turns of one run. ``on_wait`` gets the reason for each wait for the host's model."""

    def __init__(self, host: Host, control: RunControl, on_wait: Callable[[str], None]) -> None:
        self.host, self.control, self.on_wait = host, control, on_wait
        self.needed: Callable[[], Sequence[Tensor]] | None = None
        """In exclusive mode (see ``memory_mode``): gives the tensors that stay on the GPU while the run steps."""
        self._model: Model | None = None
        self._wanted: Files | None = None
        self._inside = False
        self._places: list[tuple[str, int]] = []
        self._exclusive: ExitStack | None = None

    def borrow(self, wanted: Files | None) -> Model:
        """Borrow the host's model; a run that began with the ``wanted`` files waits for those.

        Raises HostError, and ModelUnavailable.
        """
        if wanted is not None:
            wait_for_model(lambda: self._check_loaded(wanted), self.control, self.on_wait, wanted)
        self._wanted, self._model = wanted, self.host.borrow()
        return self._model

    def _check_loaded(self, wanted: Files) -> None:
        try:
            loaded = self.host.files()
        except HostError:  # with no model loaded, the run waits as it does for another one
            loaded = Files("")
        if not wanted.same(loaded):
            name = Path(wanted.base).name + (f" with the VAE {Path(wanted.vae).name}" if wanted.vae else "")
            raise HostChanged(f"This run trains {name}: load that ({wanted.base}), then the run goes on.")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the host's lock, with the model on its device. A turn inside a turn is that turn. Raises
        ModelUnavailable.
        """
        if self._inside:
            yield
            return
        self.share()
        with ExitStack() as stack:
            self._enter(stack)
            self._inside, self._places = True, self._where()
            try:
                yield
            finally:
                self._inside = False

    def do(self, work: Callable[[], T], again: Callable[[], bool] = lambda: True, step: bool = False) -> T:
        """Do work in a turn of its own, and once more if ``again`` agrees where the host moved the model meanwhile.

        (Some of the host's buttons move its model without taking its lock.) In exclusive mode, a ``step`` is done in
        one turn with the steps before it.
        """
        if self._inside:
            return work()
        if step and self.needed is not None:
            return self._step_exclusively(work, again, self.needed)
        try:
            with self.turn():
                return work()
        except RuntimeError:
            if self._where() == self._places or not again():
                raise
        with self.turn():
            return work()

    def _step_exclusively(
        self, work: Callable[[], T], again: Callable[[], bool], needed: Callable[[], Sequence[Tensor]]
    ) -> T:
        if self._exclusive is None:
            with ExitStack() as stack:
                self._enter(stack)
                stack.enter_context(self.host.offload(needed()))
                self._exclusive, self._places = stack.pop_all(), self._where()
        self._inside = True
        try:
            return work()
        except BaseException as error:
            moved = isinstance(error, RuntimeError) and self._where() != self._places
            self._inside = False
            clear_frames(error)  # the offloaded weights need the room
            self.share()
            if not moved or not again():
                raise
        finally:
            self._inside = False
        return self._step_exclusively(work, lambda: False, needed)

    def share(self) -> None:
        """End an exclusive turn: offloaded weights come back, and whoever waits for the model gets it."""
        exclusive, self._exclusive = self._exclusive, None
        if exclusive is not None:
            exclusive.close()

    def publish(self, path: Path) -> None:
        """Let the host know of a save that was written or deleted."""
        self.share()
        self.host.publish(path)

    def _enter(self, stack: ExitStack) -> None:
        def enter() -> None:
            stack.enter_context(self.host.turn())

        wait_for_model(enter, self.control, self.on_wait, self._wanted, PATIENCE)

    def _where(self) -> list[tuple[str, int]]:
        """Give the device and the address of each of the model's parameters."""
        if self._model is None:
            return []
        return [
            (str(parameter.device), 0 if parameter.is_meta else parameter.data_ptr())
            for module in self._model.modules
            for parameter in module.parameters()
        ]
