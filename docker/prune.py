"""Take out of an environment what serving never opens. The image's build runs it.

    $ python docker/prune.py /opt/hyojo /build/libmklml_intel.so
    paddle/libs/libopenvino_intel_cpu_plugin.so      62.6 MB  only enable_openvino() loads it
    …

Only what is opened by name on demand goes; no linked library is touched. All that a network may
need to run stays (oneDNN, every kernel), whichever bundle is served; MKL gives way to docker/mkl.c.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

# Pattern below site-packages -> why nothing misses it.
NEVER_OPENED = {
    "paddle/libs/libopenvino_intel_cpu_plugin.so": "only enable_openvino() loads it",
    "paddle/libs/liblapack.so.3": "only svd, eig and their like load it",
    "paddle/libs/libblas.so.3": "only liblapack asks for it",
    "paddle/libs/libgfortran.so.3": "only liblapack asks for it",
    "paddle/libs/libquadmath.so.0": "only liblapack asks for it",
    "paddle/include": "headers, to compile operators against",
    "paddle/**/*.py": "builds and trains networks; predictors load the library alone",
    "paddle/_typing/libs": "stubs for type checkers",
    "cv2/data": "Haar cascades; models/faces.onnx finds faces",
    "PIL/_avif*.so": "AVIF is no format of ours",
    "pillow.libs/libavif-*": "only _avif links to it",
    "networkx": "imported inside paddle.distributed's planners only",
    "pip": "nothing is installed later",
    "pip-*.dist-info": "nothing is installed later",
    "setuptools": "nothing is built later",
    "setuptools-*.dist-info": "nothing is built later",
    "pkg_resources": "a part of setuptools",
    "_distutils_hack": "a part of setuptools",
    "distutils-precedence.pth": "a part of setuptools",
    "numpy/f2py": "compiles Fortran",
    "numpy/distutils": "builds packages",
    "numpy/**/tests": "NumPy's own tests",
    "**/*.pyi": "stubs for type checkers",
    "**/*.h": "headers",
    "**/*.a": "static libraries",
}


def size(path: Path) -> int:
    """Bytes on disk of a file or of everything under a folder."""
    files: Iterator[Path] = path.rglob("*") if path.is_dir() else iter([path])
    return sum(file.lstat().st_size for file in files if file.is_file())


def replace_mkl(packages: Path, ours: Path) -> int:
    """Put docker/mkl.c in MKL's place if it has all that Paddle asks for; returns bytes saved."""
    theirs = packages / "paddle/libs/libmklml_intel.so"
    saved = theirs.stat().st_size - ours.stat().st_size
    asking = (packages / "paddle/base/libpaddle.so", *packages.glob("paddle/libs/libphi*.so"))
    asked = set.union(*(_names(library) for library in asking)) & _names(theirs)
    if missing := sorted(asked - _names(ours)):
        sys.exit(f"Paddle asks MKL for {', '.join(missing)}: docker/mkl.c lacks them.")
    shutil.copyfile(ours, theirs)
    return saved


def _names(library: Path) -> set[str]:
    """Words in a library that look like functions of MKL."""
    found = set(
        re.findall(rb"\0((?:cblas_|vm?[sd][A-Z]|MKL_|mkl_)\w+)(?=\0)", library.read_bytes())
    )
    return {name.decode() for name in found}


def main(root: Path, mkl: Path) -> None:
    (packages,) = root.glob("lib/python3*/site-packages")
    print(f"{'paddle/libs/libmklml_intel.so':46} {replace_mkl(packages, mkl) / 1e6:6.1f} MB  MKL")
    for pattern, why in NEVER_OPENED.items():
        found = sorted(packages.glob(pattern))
        if not found:
            sys.exit(f"Nothing matches {pattern}: a package has changed. Is its line still right?")
        freed = 0
        for path in found:
            if path.exists():
                freed += size(path)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(f"{pattern:46} {freed / 1e6:6.1f} MB  {why}")
    for launcher in (*root.glob("bin/pip*"), *root.glob("bin/[Aa]ctivate*")):
        launcher.unlink()
    print(f"{'left':46} {size(packages) / 1e6:6.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
