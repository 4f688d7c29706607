"""Make the page without a server: a folder for any static host.

    $ make local                                        # build/local with the model emotion
    $ python -m models.local --model emotion,smile --out site  # several models, another folder
    $ python -m http.server --directory build/local     # then open http://localhost:8000/

The page reads pictures in the browser itself, by ONNX Runtime Web, which is fetched from the npm
registry once and known by its hash. Browsers load it over http:// and https:// only, not from a
file:// address. Exit status: 0 made, 2 not.
"""

import argparse
import sys
from pathlib import Path

from models.errors import HyojoError
from models.local import folder

PROJECT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.local",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", default="emotion", help="names in params/, with commas between")
    add("--out", type=Path, default=PROJECT / "build" / "local", help="the folder")
    add("--params", type=Path, default=PROJECT / "params", help="folder of bundles")
    options = parser.parse_args(arguments)
    names = [name for name in options.model.split(",") if name]
    try:
        made = folder.make(options.out, options.params, names, PROJECT)
    except (HyojoError, OSError) as error:
        print(f"local: {error}", file=sys.stderr)
        return 2
    print(
        f"{options.out}: {made.files} files, {made.size / 1e6:.1f} MB, of which a browser loads "
        f"{made.loads / 1e6:.1f} MB once. Try it: python -m http.server --directory {options.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
