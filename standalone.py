"""Run sdft without a WebUI, in its own .venv, which is made once.

python3 standalone.py [ui] [--port N]        the Fine-tune page on this machine, with the embedded toy model
python3 standalone.py demo [--out FOLDER]    fine-tune a LoRA of a new subject on the embedded toy model
python3 standalone.py test [--all] [...]     the tests (--all: the slow ones too); further arguments go to pytest
python3 standalone.py run ARGUMENTS ...      the command line: train, resume, sample, report, recipe, scan, convert,
                                             dataset, captions, tools
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = Path(os.environ.get("SDFT_VENV", HERE / ".venv"))
NOTHING_CHOSEN = 5
"""pytest's exit status where no test was chosen."""
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def ensure_environment(group: str) -> None:
    """Make .venv and install a dependency group of pyproject.toml, unless that was done for this pyproject.toml.

    Raises SystemExit where the Python is too old or too new, or pip fails.
    """
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        raise SystemExit(
            f"Python 3.10, 3.11 or 3.12 is needed, this is {sys.version.split()[0]}: start this with another one."
        )
    pyproject = HERE / "pyproject.toml"
    stamp = VENV / f"installed-{group}"
    wanted = hashlib.sha256(pyproject.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"Installing into {VENV} (once; a few minutes) …", flush=True)
    if not PYTHON.exists():
        venv.EnvBuilder(with_pip=True).create(VENV)
    # Dependency groups need pip 25.1.
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for arguments in (["--upgrade", "pip>=25.1"], ["--group", f"{pyproject}:{group}"]):
        if subprocess.run(pip + arguments).returncode:
            raise SystemExit(f"pip could not install {' '.join(arguments)}: see its message above, then try again.")
    stamp.write_text(wanted)


def run(module: str, *arguments: str) -> int:
    """Run a module to its end, and return its exit status. Signals that would end this program go to that one, which
    may save first.
    """
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    with subprocess.Popen([str(PYTHON), "-m", module, *arguments], env=environment) as process:
        before = {number: signal.getsignal(number) for number in ENDING}
        for number in ENDING:
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: process.send_signal(number))
        # Ctrl-C is sent to both.
        before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            return process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_tests(slow_too: bool, rest: list[str]) -> int:
    """Run the tests in parallel, then the timed ones alone; return the first exit status that isn't 0."""
    # One process a core, each with one thread (tests/conftest.py): tiny tensors gain nothing from more.
    # Files start in the order of tests/conftest.py, not by their number of tests.
    side_by_side = ["-n", "logical", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder"]
    quick = "" if slow_too else " and not slow"
    codes = [
        run("pytest", *side_by_side, "-m", f"not timed{quick}", *rest),
        run("pytest", "-m", f"timed{quick}", *rest),
    ]
    chosen = [code for code in codes if code != NOTHING_CHOSEN]
    return next((code for code in chosen if code), 0) if chosen else NOTHING_CHOSEN


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("ui", help="the page (also without a command)", add_help=False)
    demo = commands.add_parser("demo", help="fine-tune a LoRA on the embedded toy model")
    demo.add_argument("--out", default=str(HERE / "out" / "demo"), help="folder of the run (default: out/demo)")
    test = commands.add_parser("test", help="the tests")
    test.add_argument("--all", action="store_true", help="the slow ones too")
    commands.add_parser("run", help="the command line, as python -m sdft_ext", add_help=False)
    argv = sys.argv[1:] if argv is None else argv
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv = ["ui", *argv]
    options, rest = parser.parse_known_args(argv)
    if options.command == "ui":
        ensure_environment("standalone")
        return run("sdft_ext.ui.standalone", *rest)
    if options.command == "demo":
        if rest:
            parser.error(f"unknown arguments: {' '.join(rest)}")
        ensure_environment("standalone")
        return run("sdft_ext.toy.demo", "--out", options.out)
    if options.command == "run":
        ensure_environment("standalone")
        return run("sdft_ext", *rest)
    ensure_environment("test")
    os.chdir(HERE)
    return run_tests(options.all, rest)


if __name__ == "__main__":
    sys.exit(main())
