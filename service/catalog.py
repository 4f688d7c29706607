"""Which models a worker serves: the bundles of a folder, each fit or with what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from models import bundle
from models.bundle import Manifest
from models.errors import BundleError
from service import names
from service.names import THINGS
from service.protocol import Kind, ModelInfo
from service.shelf import Shelf

SERVED_TASK = "classification"
EXPRESSIONS = frozenset(("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"))
SMILE = frozenset(("no smile", "smile"))


@dataclass(frozen=True)
class Guest:
    """A model of a family: nobody holds it until it is asked for.

    Attributes:
        folder: where a predictor loads it; another one for another bundle.
        source: the family's folder, for messages.
        parameters_bytes: size of its weights.
        largest_batch: crops that its network is given at once, at most.
    """

    folder: Path
    source: Path
    parameters_bytes: int
    largest_batch: int


@dataclass(frozen=True)
class Catalog:
    """The models by name, in order; verified when it was read, guests when they are loaded.

    Attributes:
        models: every model, the unfit ones with `error`.
        folders: where predictors load the fit ones that are held all the time.
        default: the model that answers when a request names none.
        guests: the fit ones that are loaded when they are asked for.
    """

    models: dict[str, ModelInfo]
    folders: dict[str, Path]
    default: str
    guests: dict[str, Guest] = field(default_factory=dict)

    @property
    def all_folders(self) -> list[Path]:
        """Everything that a predictor may load."""
        return [*self.folders.values(), *(guest.folder for guest in self.guests.values())]

    @property
    def served(self) -> str:
        """Names of the fit ones, in words."""
        return ", ".join([*self.folders, *self.guests]) or "none"

    @property
    def problem(self) -> str:
        """Why the default model cannot be served; empty when it can."""
        info = self.models.get(self.default)
        if info is None:
            others = ", ".join(self.models) or "none"
            return f"There is no model {self.default!r} (models: {others}). Set HYOJO_MODEL."
        return info.error or ""

    def after(self, before: "Catalog") -> "Catalog":
        """This catalogue where it takes the place of another: what was fit and is no longer stays
        as it was, and says why the newer one was refused. Nothing is kept of a guest."""
        models, folders = {}, {}
        for name, info in self.models.items():
            stays = name not in self.folders and name in before.folders
            folder = (before if stays else self).folders.get(name)
            if folder is not None:
                folders[name] = folder
            models[name] = _refused(before.models[name], info.error) if stays else info
        return Catalog(models, folders, self.default, self.guests)

    def refusing(self, other: "Catalog", why: str) -> "Catalog":
        """This catalogue, where another was to take its place and none could load its models; the
        other's guests come in."""
        models = {name: info for name, info in self.models.items() if not names.family_of(name)}
        models |= {name: info for name, info in other.models.items() if names.family_of(name)}
        for name, folder in self.folders.items():
            changed = other.folders.get(name, folder) != folder
            models[name] = _refused(models[name], why if changed else None)
        return replace(self, models=models, guests=other.guests)


def _refused(info: ModelInfo, why: str | None) -> ModelInfo:
    return msgspec.structs.replace(info, refused=why)


def read(params: Path, wanted: Sequence[str], default: str, shelf: Shelf | None = None) -> Catalog:
    """Verify the bundles of a folder. Of guests only that they are whole: hashing takes seconds for
    the largest, and whoever loads one verifies it.

    Args:
        params: folder of bundles.
        wanted: the models to serve; empty for every bundle there is.
        default: see `Catalog`.
        shelf: keeps a copy of each in memory; without it they are loaded from their folder.
    """
    read = Catalog({}, {}, default)
    for name in wanted or sorted({*found(params), default}):
        folder = names.folder_of(params, name)
        try:
            if bundle.read_manifest(folder).task == SERVED_TASK:
                read.models[name] = _fit(name, folder, read, shelf)
            elif name in (*wanted, default):
                why = f"{folder} only lends its weights to trainings (--init); it answers "
                read.models[name] = ModelInfo(name=name, error=why + "nothing. Name another model.")
        except BundleError as error:
            read.models[name] = ModelInfo(name=name, error=str(error))
    return read


def found(params: Path) -> list[str]:
    """Names of the bundles in a folder, and in the folders in it that are none: families."""
    alone = [path.parent.name for path in params.glob(f"*/{bundle.MANIFEST}")]
    of_families = [
        names.full(family.name, path.parent.name)
        for path in params.glob(f"*/*/{bundle.MANIFEST}")
        if (family := path.parents[1]).name not in (*alone, names.AVERAGE)
    ]
    both = [*alone, *of_families]
    return [name for name in both if not any(part.startswith(".") for part in name.split(":"))]


def _fit(name: str, folder: Path, catalog: Catalog, shelf: Shelf | None) -> ModelInfo:
    """Take a model in that can be served.

    Raises:
        BundleError: it cannot.
    """
    if not names.family_of(name):
        loaded = bundle.load(folder)
        catalog.folders[name] = shelf.keep(loaded) if shelf else loaded.path
        return _info(name, loaded.manifest)
    seen = bundle.look(folder)
    catalog.guests[name] = Guest(
        folder=shelf.link(seen) if shelf else folder,
        source=folder.parent,
        parameters_bytes=seen.file(bundle.PARAMETERS).stat().st_size,
        # A larger batch of whole pictures takes much memory and seconds to warm, and saves nothing.
        largest_batch=8 if seen.manifest.faces.wanted else 1,
    )
    return _info(name, seen.manifest)


def _info(name: str, manifest: Manifest) -> ModelInfo:
    return ModelInfo(
        name=name,
        kind=_kind(name, manifest),
        version=manifest.version,
        task=manifest.task,
        labels=list(manifest.labels),
        faces=manifest.faces.wanted,
        explains=manifest.explains,
        input_size=manifest.input.size,
        network=str(manifest.network.get("name", "")),
        licence=manifest.licence,
        trained_on=manifest.training,
        protocol=manifest.protocol,
        metrics=manifest.metrics,
    )


def _kind(name: str, manifest: Manifest) -> Kind:
    labels = set(manifest.labels)
    if names.family_of(name) == THINGS:
        return "things"
    if labels == SMILE:
        return "smile"
    return "expression" if labels <= EXPRESSIONS and manifest.faces.wanted else "own"
