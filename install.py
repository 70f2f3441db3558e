"""Install missing packages, and change none that is installed; the WebUI runs this before it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sdft_ext.host.missing import Package, command, missing

SECONDS = 600


def main() -> None:
    wanted = missing()
    if not wanted:
        return
    names = ", ".join(package.pin for package in wanted)
    trouble = install(wanted)
    if trouble:
        print(f"Fine-tune: {names} could not be installed ({trouble}). Later, run: {command(wanted)}")
    else:
        print(f"Fine-tune: installed {names}.")


def install(packages: list[Package]) -> str:
    """Install packages without their dependencies; return pip's last line of output where it failed."""
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--prefer-binary", "--disable-pip-version-check"]
    # Offline, pip's own five retries of each package would delay the WebUI's start for minutes.
    pip += ["--quiet", "--retries", "1", "--timeout", "15", *(package.pin for package in packages)]
    try:
        result = subprocess.run(pip, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode == 0:
        return ""
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"pip ended with {result.returncode}"


if __name__ == "__main__":
    main()
