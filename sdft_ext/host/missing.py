"""The packages that the extension adds to a WebUI's environment, and which are missing. Imports the standard library
only.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import metadata


@dataclass(frozen=True)
class Package:
    """A package, the version to install, and the versions [low, high) that work with a WebUI's own packages."""

    name: str
    version: str
    low: tuple[int, ...] = ()
    high: tuple[int, ...] = ()

    @property
    def pin(self) -> str:
        """The requirement for pip."""
        return f"{self.name}=={self.version}"


PACKAGES = (
    Package("diffusers", "0.31.0", (0, 29), (0, 33)),
    Package("peft", "0.13.2", (0, 11), (0, 14)),
    Package("pytorch-optimizer", "3.4.0"),
    Package("tensorboardX", "2.6.5"),
    Package("ImageHash", "4.3.2"),
    Package("picklescan", "1.0.4"),
)
"""Each is installed without its dependencies, as every WebUI has those."""


def missing() -> list[Package]:
    """List the packages that aren't installed."""
    return [package for package in PACKAGES if _version(package.name) is None]


def unfit() -> list[str]:
    """Write a sentence for each package that is installed in a version that isn't known to work; it is left as it
    is.
    """
    found = ((package, _version(package.name)) for package in PACKAGES if package.low)
    return [
        f"{package.name} {version} is installed, which isn't known to work here; {_range(package)} are. "
        "Training may fail until what required that version is updated."
        for package, version in found
        if version is not None and not package.low <= _numbers(version) < package.high
    ]


def command(packages: list[Package]) -> str:
    """Write the command that installs the packages, with this environment's own Python."""
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f"{python} -m pip install --no-deps {' '.join(package.pin for package in packages)}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _range(package: Package) -> str:
    low, high = (".".join(map(str, part)) for part in (package.low, (package.high[0], package.high[1] - 1)))
    return f"{low} to {high}"
