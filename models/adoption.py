"""From published weights to a bundle: named, put into the network, exported and described."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models import bundle, card, things, weights
from models.backbones import VISION
from models.bundle import Manifest
from models.errors import WeightsError
from models.export import export
from models.face_spec import FaceSpec
from models.networks import Classifier, NetworkSpec, build
from models.published import Published

_DATA = "ImageNet (ILSVRC 2012), 1,000 classes, by the weights' authors"
_PYTORCH = {"weight": "weight", "bias": "bias", "running_mean": "_mean", "running_var": "_variance"}
# Paddle's InceptionV3 drops a fifth of its features in training and shrinks all of them by as much
# afterwards ("downscale_in_infer"); our dropout shrinks nothing, so the head's weights are shrunk.
_SHRUNK = {"inception_v3": 0.8}
_COUNTER = ".num_batches_tracked"


def network_with(published: Published, tensors: Mapping[str, np.ndarray]) -> Classifier:
    """The network, holding the weights.

    Args:
        published: which.
        tensors: as `models.pickles.read` gives them.

    Raises:
        WeightsError: they are of another network.
    """
    spec = NetworkSpec(published.network)
    taken = published.input
    network = build(spec, things.COUNT, taken.channels, taken.size)
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    named = _by_name if published.network in VISION else _in_order
    state = named(published.network, tensors, list(own))
    wrong = [name for name in own if name not in state or state[name].shape != own[name]]
    if wrong or set(state) - set(own):
        odd = (wrong or sorted(set(state) - set(own)))[0]
        raise WeightsError(
            f"The file's tensors are not those of {published.network} ({odd} differs), so nothing "
            "was written. Fetch it again, or name the right file with --from."
        )
    state["head.weight"] = state["head.weight"] * _SHRUNK.get(published.network, 1.0)
    weights.set_state(network, state)
    network.eval()
    return network


def write(out: Path, published: Published, network: Classifier, sha256: str) -> Manifest:
    """Write the bundle `out`; an older one there is replaced once the new one is whole.

    Args:
        out: where.
        published: which network it is.
        network: with its weights, see `network_with`.
        sha256: of the file they came in.

    Raises:
        ExportError: the export does not agree with the network.
    """
    with bundle.writing(out) as folder:
        exported = export(network, published.input, folder)
        weights.save(weights.state_of(network), folder / bundle.WEIGHTS)
        manifest = Manifest(
            name=out.name,
            version=f"published-{sha256[:8]}",
            labels=things.labels(),
            input=published.input,
            faces=FaceSpec(wanted=False, centre=published.centre),
            network={**network.spec.as_dict(), "parameters": network.parameter_count()},
            training={
                "data": _DATA,
                "weights": published.weights,
                "source": str(published.source),
                "source_sha256": sha256,
                "citation": published.citation,
                "labels": things.SOURCE,
                "published": {
                    "top1": published.top1,
                    "top5": published.top5,
                    "by": published.figures,
                },
                "command": f"python -m models.zoo fetch {published.network}",
                "export_difference": exported.difference,
            },
            protocol={"name": "published"},
            metrics={},
            licence=published.licence,
            files={},
            explains=exported.explains,
        )
        (folder / "report").mkdir()
        (folder / "report" / "card.md").write_text(card.text(manifest))
        return bundle.seal(folder, manifest)


def _in_order(
    network: str, tensors: Mapping[str, np.ndarray], own: list[str]
) -> dict[str, np.ndarray]:
    """PyTorch names the same layers otherwise, in the same order; each kind has to agree."""
    given = [(name, values) for name, values in tensors.items() if not name.endswith(_COUNTER)]
    if len(given) != len(own):
        raise WeightsError(
            f"The file holds {len(given)} tensors, and {network} has {len(own)}: it is another "
            "network's. Name the right file with --from."
        )
    state: dict[str, np.ndarray] = {}
    for (theirs, values), ours in zip(given, own, strict=True):
        kind = _PYTORCH.get(theirs.rpartition(".")[2])
        fits = kind == ours.rpartition(".")[2]
        head = values.ndim == 2  # PyTorch's linear layers have their outputs first
        state[ours if fits else theirs] = np.ascontiguousarray(values.T) if head else values
    return state


def _by_name(
    network: str, tensors: Mapping[str, np.ndarray], own: list[str]
) -> dict[str, np.ndarray]:
    """Paddle's names, the head under its own."""
    head = VISION[network][1]
    heads: dict[str, Any] = {f"{head}.{part}": f"head.{part}" for part in ("weight", "bias")}
    return {heads.get(name, f"trunk.network.{name}"): v for name, v in tensors.items()}
