"""Which models a worker serves: the bundles of a folder, each fit or with what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models import bundle
from models.bundle import Manifest
from models.errors import BundleError
from service.protocol import ModelInfo

SERVED_TASK = "classification"


@dataclass(frozen=True)
class Catalog:
    """The models by name, in order; verified once, when the worker starts.

    Attributes:
        models: every model, the unfit ones with `error`.
        folders: of the fit ones.
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


def read(params: Path, names: Sequence[str], default: str) -> Catalog:
    """Verify the bundles of a folder.

    Args:
        params: folder of bundles.
        names: the models to serve; empty for every bundle there is.
        default: see `Catalog`.
    """
    models: dict[str, ModelInfo] = {}
    folders: dict[str, Path] = {}
    for name in names or _found(params, default):
        try:
            if bundle.read_manifest(params / name).task == SERVED_TASK:
                manifest = bundle.load(params / name).manifest
                models[name] = _info(name, manifest)
                folders[name] = params / name
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
