"""The peers' packages, apart from the project's own: one virtual environment for a list of pins.

    $ python -m bench.peers.environment            # those that are not there yet or out of date
    $ python -m bench.peers.environment web        # one of them

They stand in build/peers/. A list is complete: every package, also those that others need, with its
version, so that two machines compare the same. Hence pip resolves nothing (`--no-deps`).
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.peers import PROJECT, PeerError

HOME = PROJECT / "build" / "peers"
_HERE = Path(__file__).resolve().parent
_STAMP = ".made"
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+)")


@dataclass(frozen=True)
class Environment:
    """A virtual environment that several peers may share.

    Attributes:
        name: of its folder in build/peers/.
        requirements: its list of pins.
        size_gb: about what it takes on the disk.
    """

    name: str
    requirements: Path
    size_gb: float

    @property
    def folder(self) -> Path:
        """Where it stands."""
        return HOME / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def made(self) -> bool:
        """Whether it is complete and holds what its list says today."""
        stamp = self.folder / _STAMP
        return self.python.exists() and stamp.exists() and stamp.read_text() == self._mark()

    def _mark(self) -> str:
        digest = hashlib.sha256(self.requirements.read_bytes()).hexdigest()
        return f"{sys.version_info.major}.{sys.version_info.minor} {digest}\n"

    def make(self) -> None:
        """Make it anew.

        Raises:
            PeerError: there is no room, or pip could not install the list.
        """
        HOME.mkdir(parents=True, exist_ok=True)
        free_gb = shutil.disk_usage(HOME).free / 1e9
        if free_gb < 2 * self.size_gb:  # as much again for pip's own copies on the way
            raise PeerError(
                f"The environment {self.name} takes {self.size_gb:g} GB and pip as much again, and "
                f"{free_gb:.1f} GB are free under {HOME}. Make room and run this again."
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(self.folder)], self.name)
        pip = [str(self.python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*pip, "--no-deps", "-r", str(self.requirements)], self.name)
        (self.folder / _STAMP).write_text(self._mark())


ENVIRONMENTS = {
    made.name: made
    for made in (
        Environment("web", _HERE / "requirements.txt", 1.7),
        Environment("fer", _HERE / "requirements-fer.txt", 1.7),
        Environment("engines", _HERE.parent / "engines" / "requirements.txt", 0.5),
    )
}


def python(name: str) -> Path:
    """The interpreter of an environment.

    Raises:
        PeerError: it has not been made, or its list has changed since.
    """
    wanted = ENVIRONMENTS[name]
    if not wanted.made:
        raise PeerError(
            f"The environment {name} of the peers is not there, or is not what its list says. "
            f"Make it: python -m bench.peers.environment {name}"
        )
    return wanted.python


def pins(requirements: Path) -> dict[str, str]:
    """The versions in a list, by the packages' names in small letters.

    Raises:
        PeerError: a line is no pin.
    """
    found = {}
    for number, line in enumerate(requirements.read_text().splitlines(), 1):
        text = line.split("#")[0].strip()
        pin = _PIN.fullmatch(text)
        if pin:
            found[pin[1].lower().replace("_", "-")] = pin[2]
        elif text:
            raise PeerError(f"{requirements}:{number}: {text!r} is no pin. Write NAME==VERSION.")
    return found


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise PeerError(
            f"The environment {name} could not be made: {' '.join(command[:4])} … ended with "
            f"status {done.returncode}. It said:\n  " + "\n  ".join(said[-8:])
        )


def _size_gb(folder: Path) -> float:
    files = (path.lstat() for path in folder.rglob("*"))
    return sum(file.st_blocks * 512 for file in files) / 1e9


def main(argv: list[str] | None = None) -> int:
    """Make what is missing; returns 1 if one could not be made (the others are all the same)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ENVIRONMENTS))
    names = parser.parse_args(argv).names or list(ENVIRONMENTS)
    unknown = [name for name in names if name not in ENVIRONMENTS]
    if unknown:
        parser.error(f"there is no environment {unknown[0]!r}: use {', '.join(ENVIRONMENTS)}")
    failed = False
    for wanted in (ENVIRONMENTS[name] for name in names):
        if wanted.made:
            print(f"{wanted.name}: ready in {wanted.folder}")
            continue
        count = len(pins(wanted.requirements))
        print(f"{wanted.name}: {count} packages into {wanted.folder}; some minutes …", flush=True)
        began = time.monotonic()
        try:
            wanted.make()
        except PeerError as error:
            print(f"{wanted.name}: {error}", file=sys.stderr)
            failed = True
            continue
        spent = time.monotonic() - began
        print(f"{wanted.name}: made in {spent:.0f} s, {_size_gb(wanted.folder):.2f} GB")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
