"""Which models a worker serves: the bundles of a folder, each fit or with what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from models import bundle
from models.bundle import Manifest
from models.errors import BundleError
from service.protocol import Kind, ModelInfo
from service.shelf import Shelf

SERVED_TASK = "classification"
EXPRESSIONS = frozenset(("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"))
SMILE = frozenset(("no smile", "smile"))
THINGS = "imagenet"
"""The family of models that name things in a picture."""


@dataclass(frozen=True)
class Catalog:
    """The models by name, in order; verified when it was read.

    Attributes:
        models: every model, the unfit ones with `error`.
        folders: where predictors load the fit ones.
        default: the model that answers when a request names none.
    """

    models: dict[str, ModelInfo]
    folders: dict[str, Path]
    default: str

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
        as it was, and says why the newer one was refused."""
        models, folders = {}, {}
        for name, info in self.models.items():
            stays = name not in self.folders and name in before.folders
            folder = (before if stays else self).folders.get(name)
            if folder is not None:
                folders[name] = folder
            models[name] = _refused(before.models[name], info.error) if stays else info
        return Catalog(models, folders, self.default)

    def refusing(self, other: "Catalog", why: str) -> "Catalog":
        """This catalogue, where another was to take its place and none could load its models."""
        models = dict(self.models)
        for name, folder in self.folders.items():
            changed = other.folders.get(name, folder) != folder
            models[name] = _refused(models[name], why if changed else None)
        return replace(self, models=models)


def _refused(info: ModelInfo, why: str | None) -> ModelInfo:
    return msgspec.structs.replace(info, refused=why)


def read(params: Path, names: Sequence[str], default: str, shelf: Shelf | None = None) -> Catalog:
    """Verify the bundles of a folder.

    Args:
        params: folder of bundles.
        names: the models to serve; empty for every bundle there is.
        default: see `Catalog`.
        shelf: keeps a copy of each in memory; without it they are loaded from their folder.
    """
    models: dict[str, ModelInfo] = {}
    folders: dict[str, Path] = {}
    for name in names or _found(params, default):
        try:
            if bundle.read_manifest(params / name).task == SERVED_TASK:
                loaded = bundle.load(params / name)
                folders[name] = shelf.keep(loaded) if shelf else loaded.path
                models[name] = _info(name, loaded.manifest)
            elif name in (*names, default):
                why = f"{params / name} only lends its weights to trainings (--init); it answers "
                models[name] = ModelInfo(name=name, error=why + "nothing. Name another model.")
        except BundleError as error:
            models[name] = ModelInfo(name=name, error=str(error))
    return Catalog(models, folders, default)


def _found(params: Path, default: str) -> list[str]:
    """Folders with a manifest, and the default model's in any case: if absent, it is to be said."""
    found = {path.parent.name for path in params.glob(f"*/{bundle.MANIFEST}")}
    found = {name for name in found if not name.startswith(".")}
    return sorted(found | {default})


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
    if name.partition(":")[0] == THINGS:
        return "things"
    if labels == SMILE:
        return "smile"
    return "expression" if labels <= EXPRESSIONS and manifest.faces.wanted else "own"
