"""Which model answers: known again by what decides its answers, wherever it lies."""

import hashlib
from collections.abc import Sequence

import msgspec

from models import bundle
from models.bundle import GRAPH, PARAMETERS
from service.catalog import Catalog


def digest(models: Catalog, names: Sequence[str]) -> str:
    """sha256 in hex over the labels, the input, the crop and the network of each model."""
    sums = hashlib.sha256()
    for name in names:
        folder = models.folders.get(name) or models.guests[name].folder
        manifest = bundle.read_manifest(folder)
        decides = manifest.labels, manifest.input, manifest.faces
        files = manifest.files[GRAPH], manifest.files[PARAMETERS]
        sums.update(msgspec.json.encode((name, decides, files)))
    return sums.hexdigest()
