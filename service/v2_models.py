"""What the gateway knows of a model for the Open Inference Protocol: its labels and its metadata.

Infer requests need the labels' order, which the worker's replies do not tell. It is asked for once
and kept for as long as the same version answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from service import names
from service.choosing import chosen
from service.client import Client
from service.errors import ApiError
from service.protocol import ModelInfo, StatusReply
from service.schemas import MODEL_NAME_MOST
from service.v2_schemas import INPUT, PLATFORM, ModelMetadata, TensorMetadata

_MOST_KEPT = 256
"""Names of averages are the clients' own, so that there is no end to them."""


@dataclass(frozen=True)
class Served:
    """A model that can answer, or an average of several.

    Attributes:
        infos: of the models.
        ready: whether it answers now.
    """

    infos: tuple[ModelInfo, ...]
    ready: bool = True

    @property
    def version(self) -> str:
        """As replies tell it."""
        return "+".join(info.version for info in self.infos)

    @property
    def labels(self) -> list[str]:
        """In the order of the columns of `probabilities`: of an average its first model's."""
        return self.infos[0].labels

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its outputs."""
        boxes = ("boxes",) if self.infos[0].faces else ()
        return ("label", "probabilities", *boxes, "answer")

    def metadata(self, name: str) -> ModelMetadata:
        """As GET /v2/models/NAME tells it."""
        first = self.infos[0]
        shapes = {"probabilities": [-1, len(self.labels)], "boxes": [-1, 4]}
        return ModelMetadata(
            name=name,
            versions=[self.version],
            platform=PLATFORM,
            inputs=[TensorMetadata(INPUT, "BYTES", [-1])],
            outputs=[
                TensorMetadata(name, "FP32" if name in shapes else "BYTES", shapes.get(name, [-1]))
                for name in self.outputs
            ],
            parameters={
                "labels": self.labels,
                "kind": first.kind,
                "faces": first.faces,
                "explains": first.explains and len(self.infos) == 1,
                "state": "warm" if all(i.state == "warm" for i in self.infos) else first.state,
                "licence": "; ".join(dict.fromkeys(info.licence for info in self.infos)),
            },
        )


class Directory:
    """Looks models up.

    Args:
        client: asks the worker.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: dict[str, Served] = {}

    def now(
        self, request_id: str, name: str, version: str | None = None, to_ask: bool = False
    ) -> Served:
        """A model as the worker has it now.

        Args:
            request_id: of the present request.
            name: of the model, or `average:A,B`.
            version: that must be the one that is served; None for whichever it is.
            to_ask: it is about to be asked: one that could not be loaded may be tried again, and
                the worker says when.

        Raises:
            ApiError: model_not_found, model_unavailable, not_averageable, worker_unavailable.
        """
        if not 0 < len(name) <= MODEL_NAME_MOST:
            raise ApiError(
                "model_not_found",
                f"No model has a name of {len(name)} characters; {MODEL_NAME_MOST} is the most.",
            )
        status = self._client.status(request_id)
        models = {info.name: info for info in status.models}
        if to_ask:
            models = {
                name: msgspec.structs.replace(info, error=None) if _comes_when_asked(info) else info
                for name, info in models.items()
            }
        infos = chosen(name, models)
        served = Served(tuple(infos), ready=all(_answers(info, status) for info in infos))
        if version is not None and version != served.version:
            raise ApiError(
                "model_not_found",
                f"The model {name!r} has no version {version[:80]!r}; {served.version} is served. "
                "Leave the version away, or ask for this one.",
            )
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[name] = served
        return served

    def known(self, request_id: str, name: str, version: str | None = None) -> Served:
        """A model to ask, as it was when it was last looked up; it is looked up if it never was.

        Raises:
            ApiError: as `now` does.
        """
        kept = self._kept.get(name)
        if kept is None or version not in (None, kept.version):
            return self.now(request_id, name, version, to_ask=True)
        return kept

    def answered(self, request_id: str, name: str, version: str, served: Served) -> Served:
        """A model as it was when it answered.

        Args:
            request_id: of the present request.
            name: as it was asked for.
            version: that answered.
            served: as it was known before.

        Raises:
            ApiError: not_ready where it has been replaced since, more than once.
        """
        if served.version != version:
            served = self.now(request_id, name, to_ask=True)
        if served.version != version:
            raise ApiError(
                "not_ready",
                f"The model {name!r} was replaced while it answered. Send the request again.",
            )
        return served


def _answers(info: ModelInfo, status: StatusReply) -> bool:
    """Whether a request would be taken."""
    return status.ready and (_comes_when_asked(info) or info.state == "warm")


def _comes_when_asked(info: ModelInfo) -> bool:
    """Whether it is loaded for those who ask for it, where nobody holds it."""
    return bool(names.family_of(info.name))
