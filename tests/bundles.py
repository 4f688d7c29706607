"""Bundles that tests make: whole and sealed, their networks untrained."""

from pathlib import Path

from models import bundle
from models.bundle import Bundle, InputSpec, Manifest
from models.export import export
from models.face_spec import FaceSpec
from models.framework import paddle
from models.networks import NetworkSpec, build


def untrained(
    folder: Path,
    seed: int,
    network: str = "face_cnn",
    size: int = 48,
    grey: bool = True,
    labels: int = 3,
    centre: float = 1.0,
) -> Bundle:
    """Classes of one's own, on whole pictures, by a network that has learnt nothing yet."""
    paddle.seed(seed)
    spec = InputSpec(size, "gray", (127.5,), (1 / 64,)) if grey else InputSpec(
        size, "rgb", (123.7, 116.3, 103.5), (0.0171, 0.0175, 0.0174)
    )  # fmt: skip
    words = ("mug", "schüssel", "cup with handle", *(f"cup {n}" for n in range(4, labels + 1)))
    with bundle.writing(folder) as fresh:
        made = export(build(NetworkSpec(network), labels, spec.channels, size), spec, fresh)
        manifest = Manifest(
            name=folder.name,
            version=str(seed),
            labels=words,
            input=spec,
            faces=FaceSpec(wanted=False, centre=centre),
            network={"name": network},
            training={},
            protocol={},
            metrics={},
            licence="For tests.",
            files={},
            explains=made.explains,
        )
        bundle.seal(fresh, manifest)
    return bundle.load(folder)
