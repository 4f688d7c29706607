"""The command's options."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version

_ABOUT = """\
Ask a Hyojo service what pictures show.

  hyojo classify photo.jpg more/*.png      a line a picture
  hyojo classify --json holiday/           a folder, one JSON object a line
  hyojo watch incoming/                    each new picture of a folder, as it comes
  hyojo models                             what the service can tell
"""
_AFTER = """\
The address and the key are taken from HYOJO_URL and HYOJO_KEY where no option names them.
Exit status: 0 all is well; 1 something failed; 2 the command was not understood.
"""


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    top = argparse.ArgumentParser(
        prog="hyojo",
        description=_ABOUT,
        epilog=_AFTER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"hyojo {_version()}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    classify = verbs.add_parser("classify", help="say what pictures show")
    classify.add_argument(
        "pictures",
        nargs="+",
        metavar="PICTURE",
        help="image files, folders of them, or - for one image on standard input",
    )
    _asked(classify)
    _service(classify, 30)

    watch = verbs.add_parser(
        "watch",
        help="classify each new picture of a folder, until Ctrl-C",
        description="Classify each picture that comes into a folder, or into one below it, once it "
        "is whole. While the service is away its pictures wait for it.",
    )
    watch.add_argument("folder", metavar="FOLDER", help="the folder that is watched")
    watch.add_argument(
        "--existing", action="store_true", help="begin with the pictures that are there already"
    )
    watch.add_argument(
        "--every",
        type=_seconds,
        default=0.5,
        metavar="SECONDS",
        help="between two looks at the folder (default: 0.5)",
    )
    _asked(watch)
    _service(watch, 5)

    models = verbs.add_parser("models", help="list the service's models; * is the default")
    models.add_argument("--json", action="store_true", help="one JSON object a line")
    _service(models, 30)

    ready = verbs.add_parser("ready", help="exit status 0 when the service can answer now")
    _service(ready, 0)
    return top


def _asked(verb: argparse.ArgumentParser) -> None:
    asked = verb.add_argument_group("what is asked")
    asked.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="which model; more than once asks each of them (default: the service's)",
    )
    asked.add_argument("--top", type=int, metavar="N", help="only the N likeliest labels")
    asked.add_argument(
        "--faces",
        choices=("auto", "all", "largest", "whole"),
        default="auto",
        help="auto as the model wants, all small ones too, largest one, whole the whole picture",
    )
    asked.add_argument(
        "--explain", action="store_true", help="with --json: which places decided, too"
    )
    asked.add_argument("--json", action="store_true", help="one JSON object a line")


def _service(verb: argparse.ArgumentParser, patience_s: float) -> None:
    service = verb.add_argument_group("the service")
    service.add_argument("--url", help="its address (default: HYOJO_URL, or http://127.0.0.1:8000)")
    service.add_argument("--key", help="its key (default: HYOJO_KEY, which other users do not see)")
    service.add_argument(
        "--timeout",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="that one try may take (default: 30)",
    )
    service.add_argument(
        "--patience",
        type=_some_seconds,
        default=patience_s,
        metavar="SECONDS",
        help="in which it is asked again when it is busy or starting "
        f"(default: {patience_s:g}; 0: once)",
    )


def _seconds(text: str) -> float:
    number = _some_seconds(text)
    if number == 0:
        raise argparse.ArgumentTypeError("takes seconds above 0")
    return number


def _some_seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 86_400:
        raise argparse.ArgumentTypeError(f"takes seconds from 0 to 86400, not {text!r}")
    return number


def _version() -> str:
    try:
        return version("hyojo")
    except PackageNotFoundError:  # run from its folder
        return "(not installed)"
