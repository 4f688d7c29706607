"""The bundle a training starts from: named by its folder, or as FAMILY:NAME of params/."""

from pathlib import Path

from models import bundle
from models.bundle import Bundle
from models.errors import UsageError

IMAGENET = "imagenet"


def family_of(init: str) -> str:
    """`imagenet` of `imagenet:mobilenet_v2`; empty where a folder is named."""
    family, colon, _ = init.partition(":")
    return family if colon and "/" not in family else ""


def place(init: str, params: Path) -> Path:
    """Where the bundle that `--init` names lies.

    Args:
        init: a folder, or FAMILY:NAME.
        params: the project's folder of bundles.

    Raises:
        UsageError: a FAMILY:NAME that is not there; it says how to get it.
    """
    family = family_of(init)
    if not family:
        return Path(init)
    name = init.partition(":")[2]
    folder = params / family / name
    if not name or not (folder / bundle.MANIFEST).is_file():
        fetch = f"Fetch it once: python -m models.zoo fetch {name or 'NAME'}"
        known = "" if family == IMAGENET else f" The only family known is {IMAGENET}."
        raise UsageError(
            f"There are no weights {init!r} here: {folder} is no bundle. {fetch} (python -m "
            f"models.zoo list shows the names). Training itself downloads nothing.{known}"
        )
    return folder


def bundle_for(init: str, params: Path) -> Bundle:
    """The bundle itself, verified.

    Raises:
        UsageError: see `place`.
        BundleError: it is missing or altered.
    """
    return bundle.load(place(init, params))


def published(init: Bundle | None) -> bool:
    """Whether it is a network that others trained on things of all kinds: `models.zoo` makes it."""
    return init is not None and init.manifest.protocol.get("name") == "published"


def takes_whole_images(init: str, params: Path) -> bool:
    """Whether a bundle is named that looks at whole images, so that no face should be cut."""
    if init in ("auto", "none"):
        return False
    return not bundle.read_manifest(place(init, params)).faces.wanted
