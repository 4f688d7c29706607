"""Take out of model bundles what only trainings read. The image's build runs it.

    $ python docker/bundles.py /srv/hyojo/params
    emotion/statistics.safetensors    0.2 MB
    …

Their manifests then name what is left, with the same hashes: each stays a whole bundle.
"""

import json
import sys
from pathlib import Path

TO_TRAIN_FROM = ".safetensors"


def thin(bundle: Path) -> list[tuple[str, int]]:
    """Thin one bundle; returns each file taken out with its size in bytes."""
    manifest = json.loads((bundle / "model.json").read_text())
    gone = [(name, (bundle / name).stat().st_size) for name in manifest["files"]
            if name.endswith(TO_TRAIN_FROM)]  # fmt: skip
    for name, _ in gone:
        (bundle / name).unlink()
        del manifest["files"][name]
    (bundle / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return gone


def main(params: Path) -> None:
    """Thin every bundle of a folder."""
    for manifest in sorted(params.glob("*/model.json")):
        for name, size in thin(manifest.parent):
            print(f"{f'{manifest.parent.name}/{name}':<50} {size / 1e6:6.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
