"""The packages that the extension adds to a WebUI's environment, and which are missing. Imports the standard library
only.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import metadata


@dataclass(frozen=True)
class Package:
    """A package, and the version to install; another version that is installed already is left as it is."""

    name: str
    version: str

    @property
    def pin(self) -> str:
        """The requirement for pip."""
        return f"{self.name}=={self.version}"


PACKAGES = (
    Package("diffusers", "0.31.0"),
    Package("peft", "0.13.2"),
    Package("pytorch-optimizer", "3.4.0"),
    Package("tensorboardX", "2.6.5"),
    Package("picklescan", "1.0.4"),
)
"""Each is installed without its dependencies, as every WebUI has those."""


def missing() -> list[Package]:
    """List the packages that aren't installed."""
    return [package for package in PACKAGES if _version(package.name) is None]


def command(packages: list[Package]) -> str:
    """Write the command that installs the packages, with this environment's own Python."""
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f"{python} -m pip install --no-deps {' '.join(package.pin for package in packages)}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
