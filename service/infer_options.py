"""The options of infer.py."""

import argparse
from pathlib import Path

from models.video_formats import WRITES
from service.arguments import positive


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"takes seconds from 0 to 60, not {text!r}")
    return seconds


def parser(description: str) -> argparse.ArgumentParser:
    """The command line; every option with its default."""
    parser = argparse.ArgumentParser(
        prog="infer.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "paths", metavar="PATH", type=Path, nargs="*", help="images and folders of images"
    )
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        help="name in params/, FAMILY:NAME in its folder FAMILY, average:A,B of several with the "
        "same labels, or a bundle's folder (default: emotion)",
    )
    model.add_argument(
        "--processes",
        type=positive,
        metavar="N",
        help="predictor processes (default: the cores, at most 4; with --ray all of the cores)",
    )
    question = parser.add_argument_group("what is asked of each image (with PATH or --video)")
    question.add_argument(
        "--faces",
        choices=("auto", "all", "largest", "whole"),
        default="auto",
        help="auto: as the model wants; all: search finely, small faces too; largest: one face; "
        "whole: the image is the face (default: auto)",
    )
    question.add_argument(
        "--top",
        type=positive,
        metavar="K",
        help="how many labels each answer holds (default: all; the table shows three)",
    )
    question.add_argument(
        "--batch-size",
        type=positive,
        default=8,
        metavar="N",
        help="images handed to a process at once (default: 8)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line in place of the table; with --video, one a frame",
    )
    output.add_argument(
        "--explain",
        type=Path,
        metavar="OUT",
        help="write into the folder OUT, for each image, a PNG with the places of each face that "
        "spoke for its label in warm colours; --json tells them too",
    )
    output.add_argument(
        "--out",
        type=Path,
        metavar="OUT",
        help=f"with --video: write it here with boxes, labels and probabilities, at its own frame "
        f"rate and without its sound, replacing what is there. By suffix ({', '.join(WRITES)}): "
        ".webm is VP8, which browsers play and which takes longer; the others are MPEG-4, for "
        "players. H.264 cannot be written. With --ray: the folder of results",
    )
    many = parser.add_argument_group(
        "folders larger than memory",
        "python infer.py --ray FOLDER --out RESULTS writes Parquet files in place of lines. "
        "Stopped or killed, the same command goes on where it ended.",
    )
    many.add_argument(
        "--ray",
        action="store_true",
        help="list PATH as a stream and answer on all cores with Ray (requirements-ray.txt)",
    )
    many.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="use the Ray cluster that runs there; its nodes must see PATH, OUT and this project "
        "under the same paths (default: RAY_ADDRESS, else this machine alone)",
    )
    many.add_argument(
        "--part-size",
        type=positive,
        metavar="N",
        help="images a file; what a kill costs is at most one such part a process (default: 1000)",
    )
    video = parser.add_argument_group("video (in place of PATH)")
    video.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        help="follow the faces of a video; new ones are looked for four times a second",
    )
    video.add_argument(
        "--smooth",
        type=_seconds,
        default=0.5,
        metavar="S",
        help="time constant in seconds of each face's probabilities; 0 takes each frame for itself "
        "(default: 0.5)",
    )
    return parser
