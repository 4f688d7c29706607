"""Networks that others published, as bundles: list them, and bring one by an explicit command.

    $ python -m models.zoo list
    $ python -m models.zoo fetch mobilenet_v2
    $ python -m models.zoo fetch resnet50 --from ~/resnet50.pdparams

`fetch` writes params/imagenet/NAME: a bundle like any other, which names one of a thousand things
in a picture (`model=imagenet:NAME`) and can start a training (`--init imagenet:NAME`). What comes
is known by its hash, and read without running anything of it. Serving and training never download.

Exit status: 0 done; 1 the bundle could not be made; 2 wrong options, or the file cannot be had or
is not the published one; 130 interrupted. Nothing is left half-written.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models import bundle, downloads, pickles
from models.console import Console, duration
from models.errors import BundleError, HyojoError, UsageError, WeightsError
from models.published import NETWORKS, Address, Published

_ROOM = " A bundle takes twice the size of its weights."
FAMILY = Path(__file__).resolve().parent.parent / "params" / "imagenet"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status is told in the module's docstring."""
    options = _arguments().parse_args(arguments)
    if options.command == "list":
        rows = [_row(published) for published in NETWORKS.values()]
        print(json.dumps(rows) if options.json else _table(rows))
        return 0
    from models.framework import Interrupted, interrupt_on_signals  # Paddle: two seconds

    interrupt_on_signals()
    try:
        published = named(options.name)
        out = options.out or FAMILY / published.network
        result = fetch(published, out, options.file, Console())
    except Interrupted:
        print("Interrupted; nothing was written.", file=sys.stderr)
        return 130
    except (UsageError, WeightsError, BundleError) as error:
        print(f"models.zoo: {error}", file=sys.stderr)
        return 2
    except HyojoError as error:
        print(f"models.zoo: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        why = error.strerror or type(error).__name__
        print(f"models.zoo: {out} cannot be written: {why}. Nothing of it was kept.{_ROOM}",
              file=sys.stderr)  # fmt: skip
        return 1
    print(json.dumps(result) if options.json else _told(result))
    return 0


def named(name: str) -> Published:
    """One of the published networks.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in NETWORKS:
        from models.networks import suggestion

        raise UsageError(
            f"There are no published weights for {name!r}. {suggestion(name, tuple(NETWORKS))}"
        )
    return NETWORKS[name]


def fetch(published: Published, out: Path, file: Path | None, console: Console) -> dict[str, Any]:
    """Bring the weights and write the bundle.

    Args:
        published: which network.
        out: the bundle to write; an older one is replaced.
        file: one that was downloaded elsewhere.
        console: told what happens.

    Returns:
        what `--json` prints.

    Raises:
        WeightsError: the file cannot be had, or is not the published one.
        UsageError: `out` cannot be written.
        HyojoError: the network does not survive its export.
        OSError: the disk is full, or the like.
    """
    from models import adoption, shipping, things

    shipping.check_place(out.name, out)
    things.labels()  # what is missing is told before anything is downloaded
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-fetch-", dir=out.parent) as folder:
        got = _got(published, file, Path(folder), console)
        sha256 = bundle.sha256(got)
        network = adoption.network_with(published, pickles.read(got))
    console.say(f"{published.network}: the file is the published one; writing the bundle …")
    manifest = adoption.write(out, published, network, sha256)
    parts = [out / bundle.MANIFEST, *(out / name for name in manifest.files)]
    return {
        "name": manifest.name,
        "version": manifest.version,
        "bundle": str(out),
        "parameters": manifest.network["parameters"],
        "megabytes": round(sum(part.stat().st_size for part in parts) / 1e6, 1),
        "source": manifest.training["source"],
        "source_sha256": sha256,
        "published": manifest.training["published"],
        "explains": manifest.explains,
        "licence": manifest.licence,
        "seconds": round(console.seconds, 1),
    }


def _got(published: Published, file: Path | None, folder: Path, console: Console) -> Path:
    source = published.source
    if file is not None:
        return downloads.take(source, file, folder)
    console.say(f"{published.network}: from {source}")
    with console.steps(0, "bytes") as steps:
        return downloads.bring(source, folder, steps.tick)


def _row(published: Published) -> dict[str, Any]:
    return {
        "name": published.network,
        "fetched": (FAMILY / published.network / bundle.MANIFEST).is_file(),
        "size": published.input.size,
        "top1": published.top1,
        "top5": published.top5,
        "figures": published.figures,
        "source": str(published.source),
        "hash": "md5" if isinstance(published.source, Address) else "sha256",
        "licence": published.licence,
        "citation": published.citation,
    }


def _table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [f"{'name':<20}{'here':<6}{'px':>4}{'top-1':>8}{'top-5':>8}  source"]
    for row in rows:
        top1, top5 = ("-" if row[key] is None else f"{row[key]:.1%}" for key in ("top1", "top5"))
        here = "yes" if row["fetched"] else "no"
        lines.append(
            f"{row['name']:<20}{here:<6}{row['size']:>4}{top1:>8}{top5:>8}  {row['source']}"
        )
    lines.append("Accuracies are the publishers' own, on ImageNet's validation images.")
    return "\n".join(lines)


def _told(result: dict[str, Any]) -> str:
    return (
        f"{result['name']} {result['version']} is in {result['bundle']}: "
        f"{result['parameters']:,} weights, {result['megabytes']} MB "
        f"({duration(result['seconds'])}). {result['licence']}"
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.zoo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|fetch")
    listing = commands.add_parser("list", help="what there is, and what is here")
    fetching = commands.add_parser("fetch", help="bring one and write its bundle")
    fetching.add_argument("name", help=", ".join(NETWORKS))
    fetching.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="the bundle to write (default: params/imagenet/NAME)",
    )
    fetching.add_argument(
        "--from", dest="file", type=Path, metavar="FILE",
        help="take this file, downloaded elsewhere; its hash is checked the same",
    )  # fmt: skip
    for command in (listing, fetching):
        command.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
