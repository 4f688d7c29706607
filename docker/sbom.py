"""Add to the list of Python's packages those of Debian, and the models: what the image is made of.

$ python3 docker/sbom.py python.cdx.json DPKG_STATUS params/*/model.json > sbom.cdx.json
"""

import json
import re
import sys
from pathlib import Path
from typing import Any


def debian(status: str) -> list[dict[str, Any]]:
    """The packages of a dpkg status file as CycloneDX components."""
    found = []
    for stanza in status.strip().split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][A-Za-z-]*): (.*)$", stanza, re.M))
        name, version = fields["Package"], fields["Version"]
        purl = f"pkg:deb/debian/{name}@{version}?arch={fields['Architecture']}&distro=debian-12"
        component = {"type": "library", "name": name, "version": version, "purl": purl}
        found.append({"bom-ref": purl, **component})
    return found


def model(manifest: dict[str, Any]) -> dict[str, Any]:
    """A model in the image as a component."""
    name, version = manifest["name"], manifest["version"]
    component = {"type": "machine-learning-model", "name": name, "version": version}
    hashes = [
        {"alg": "SHA-256", "content": digest}
        for file, digest in manifest["files"].items()
        if file.endswith(".pdiparams")
    ]
    return {"bom-ref": f"model:{name}", **component, "hashes": hashes}


def main(python: Path, status: Path, *manifests: Path) -> None:
    bom = json.loads(python.read_text())
    bom["components"] += debian(status.read_text())
    bom["components"] += [model(json.loads(manifest.read_text())) for manifest in manifests]
    json.dump(bom, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
