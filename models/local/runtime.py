"""ONNX Runtime Web from the npm registry: one version, known by its hash, fetched once."""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from models.errors import HyojoError

NAME, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZ"
    "ClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""Of the tarball, as `npm view onnxruntime-web@1.30.0 dist.integrity` tells it."""
REGISTRY = "https://registry.npmjs.org"
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""The smallest build: WebAssembly alone, no WebGPU."""
_TARBALL = f"{NAME}-{VERSION}.tgz"
_PATIENCE_S = 300


class RuntimeFetchError(HyojoError):
    """The package could not be fetched, or is not the one that is known."""

    code = "runtime_unfetched"


def unpack(cache: Path, into: Path) -> None:
    """Put `FILES` into a folder.

    Args:
        cache: folder where the tarball is kept.
        into: is made.

    Raises:
        RuntimeFetchError: see the class.
    """
    into.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tarball(cache)) as tar:
        for name in FILES:
            stream = tar.extractfile(f"package/dist/{name}")
            assert stream is not None  # the hash says what is inside
            (into / name).write_bytes(stream.read())


def tarball(cache: Path) -> Path:
    """The package's file, fetched if it is not in `cache` as it should be.

    By npm where it is installed, with its settings and keys; else over HTTPS from the registry that
    `npm_config_registry` names.

    Raises:
        RuntimeFetchError: see the class.
    """
    kept = cache / _TARBALL
    if kept.is_file() and _integrity(kept) == INTEGRITY:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        fresh = Path(folder) / _TARBALL
        npm = shutil.which("npm")
        if npm:
            _pack(npm, fresh)
        else:
            _download(fresh)
        found = _integrity(fresh)
        if found != INTEGRITY:
            raise RuntimeFetchError(
                f"{_TARBALL} is not the file that was published: its hash is {found}, not "
                f"{INTEGRITY}. Nothing was made. Look what registry npm is set to use."
            )
        fresh.replace(kept)
    return kept


def _integrity(file: Path) -> str:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha512").digest()
    return f"sha512-{base64.b64encode(digest).decode()}"


def _pack(npm: str, fresh: Path) -> None:
    command = [
        npm,
        "pack",
        f"{NAME}@{VERSION}",
        "--silent",
        "--pack-destination",
        str(fresh.parent),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise _unfetched("npm", f"it took more than {_PATIENCE_S} s") from None
    if done.returncode or not fresh.is_file():
        said = (done.stderr or done.stdout).strip().splitlines()
        raise _unfetched("npm", said[-1] if said else f"status {done.returncode}")


def _download(fresh: Path) -> None:
    settings = {name.lower(): value for name, value in os.environ.items()}
    registry = (settings.get("npm_config_registry") or REGISTRY).rstrip("/")
    address = f"{registry}/{NAME}/-/{_TARBALL}"
    try:
        with urllib.request.urlopen(address, timeout=60) as answer, fresh.open("wb") as out:
            shutil.copyfileobj(answer, out)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise _unfetched(address, str(error)) from None


def _unfetched(source: str, why: str) -> RuntimeFetchError:
    return RuntimeFetchError(
        f"{NAME} {VERSION}, which runs the model in the browser, could not be fetched by {source} "
        f"({why}). Connect this machine to the npm registry and try again; it is needed once."
    )
