"""The command line of `models.export`: a bundle in the format of another engine.

    $ python -m models.export --model emotion --format onnx
    $ python -m models.export --model imagenet:resnet50 --format onnx --out net.onnx --json

The file's labels, input, crop and terms stand in its metadata. It is written only if its answers
match Paddle's on pictures cut from a photograph. Exit status: 0 written, 2 not.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from models import bundle, portable
from models.errors import HyojoError, UsageError

PROJECT = Path(__file__).resolve().parent.parent
PHOTOGRAPH = PROJECT / "web" / "example.jpg"


def folder_of(model: str, params: Path) -> Path:
    """Where a model's bundle lies.

    Args:
        model: `NAME`, `FAMILY:NAME`, or a bundle's folder.
        params: folder of bundles.

    Raises:
        UsageError: neither is there.
    """
    inside = params.joinpath(*model.split(":"))
    for folder in (inside, Path(model)):
        if (folder / bundle.MANIFEST).is_file():
            return folder
    raise UsageError(
        f"There is no model {model!r}: {inside / bundle.MANIFEST} is missing. Name a folder of "
        f"{params}, FAMILY:NAME for one a folder deeper, or a bundle's path."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        source = bundle.load(folder_of(options.model, options.params))
        out = options.out or PROJECT / "build" / "onnx" / f"{_plain(options.model)}.onnx"
        made = portable.write(source, out, options.photograph)
    except (HyojoError, OSError) as error:
        print(f"models.export: {error}", file=sys.stderr)
        return 2
    if options.json:
        told = {**asdict(made), "path": str(made.path), "model": source.manifest.name}
        print(json.dumps({**told, "version": source.manifest.version}))
        return 0
    more = "" if made.evidence is None else f", what decided by {made.evidence:.0e}"
    print(
        f"{made.path}: {made.size / 1e6:.1f} MB, {source.manifest.name} "
        f"{source.manifest.version}; on {made.pictures} pictures its probabilities differ from "
        f"Paddle's by at most {made.probabilities:.0e}{more}"
    )
    return 0


def _plain(model: str) -> str:
    return "-".join(Path(model).resolve().name.split(":"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, help="NAME or FAMILY:NAME in params/, or a bundle's folder")
    add("--format", required=True, choices=["onnx"], help="of what is written")
    add("--out", type=Path, help="the file (default: build/onnx/MODEL.onnx of this project)")
    add("--params", type=Path, default=PROJECT / "params", help="folder of bundles")
    add(
        "--photograph",
        type=Path,
        default=PHOTOGRAPH,
        metavar="FILE",
        help="what both answer, cut in several ways (default: the page's example)",
    )
    add("--json", action="store_true", help="tell the result as JSON")
    return parser
