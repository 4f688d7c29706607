"""Take out of an environment what serving never opens. The image's build runs it.

    $ python docker/prune.py /opt/hyojo
    paddle/libs/libopenvino_intel_cpu_plugin.so      62.6 MB  only enable_openvino() loads it
    …

Only what is opened by name on demand goes; no linked library is touched. All that a network may
need to run stays (MKL, oneDNN, every kernel), whichever bundle is served.
"""

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
    "cv2/data": "Haar cascades; faces are found by yuface",
    "networkx": "imported inside paddle.distributed's planners only",
    "pip": "nothing is installed later",
    "pip-*.dist-info": "nothing is installed later",
    "numpy/**/tests": "NumPy's own tests",
    "**/*.pyi": "stubs for type checkers",
    "**/*.h": "headers",
    "**/*.a": "static libraries",
}


def size(path: Path) -> int:
    """Bytes on disk of a file or of everything under a folder."""
    files: Iterator[Path] = path.rglob("*") if path.is_dir() else iter([path])
    return sum(file.lstat().st_size for file in files if file.is_file())


def main(root: Path) -> None:
    (packages,) = root.glob("lib/python3*/site-packages")
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
    print(f"{'left':46} {size(packages) / 1e6:6.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
