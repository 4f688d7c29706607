"""Write a bundle whose network has not been trained: python untrained.py NETWORK FOLDER."""

import sys
from pathlib import Path

from models import bundle
from models.export import export
from models.face_spec import FaceSpec
from models.framework import paddle
from models.networks import NetworkSpec, advice, build

LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def main(name: str, folder: Path) -> None:
    paddle.seed(1)
    wants = advice(name)
    spec = bundle.InputSpec(wants.size, wants.color, wants.mean, wants.scale)
    network = NetworkSpec(name)
    with bundle.writing(folder) as fresh:
        made = export(build(network, len(LABELS), spec.channels, spec.size), spec, fresh)
        manifest = bundle.Manifest(
            name=folder.name,
            version="untrained",
            labels=LABELS,
            input=spec,
            faces=FaceSpec(wanted=True),
            network=network.as_dict(),
            training={},
            protocol={},
            metrics={},
            licence="for tests",
            files={},
            explains=made.explains,
        )
        bundle.seal(fresh, manifest)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
