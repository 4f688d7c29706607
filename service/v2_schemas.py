"""What goes in and out by the Open Inference Protocol, as structs, and the tensors' names.

https://github.com/kserve/open-inference-protocol, `specification/protocol/inference_rest.md`; the
binary tensor data extension is Triton's, which KServe took over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header that says how long the JSON is, when tensors' bytes follow it."""
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "paddle_inference"
INPUT = "image"
OUTPUTS = ("label", "probabilities", "boxes", "answer")
Datatype = Literal["BYTES", "FP32"]
Parameters = dict[str, Any]
Dimension = Annotated[int, msgspec.Meta(le=2**63 - 1)]


class RequestInput(msgspec.Struct, frozen=True):
    """The images: an element each.

    Attributes:
        name: `image`.
        shape: `[N]` or `[N, 1]`.
        datatype: `BYTES`.
        parameters: `binary_data_size`, where the bytes follow the JSON.
        data: base64 or data URLs, where they do not.
    """

    name: str
    shape: list[Dimension]
    datatype: str
    parameters: Parameters | None = None
    data: list[Any] | None = None


class RequestOutput(msgspec.Struct, frozen=True):
    """An output that is wanted.

    Attributes:
        name: of the output.
        parameters: `binary_data` says whether its bytes follow the JSON.
    """

    name: str
    parameters: Parameters | None = None


class InferenceRequest(msgspec.Struct, frozen=True):
    """The body of an infer request, or its beginning where tensors' bytes follow.

    Attributes:
        inputs: one, the images.
        id: comes back in the answer.
        parameters: `faces` and `explain` as of POST /classify; `binary_data_output` for all
            outputs.
        outputs: those that are wanted; all of the model's without it.
    """

    inputs: list[RequestInput]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[RequestOutput] | None = None


class ResponseOutput(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output, a row an image.

    Attributes:
        name: of the output.
        datatype: of its elements.
        shape: rows first.
        parameters: `binary_data_size`, where the bytes follow the JSON.
        data: the elements, row by row, where they do not.
    """

    name: str
    datatype: Datatype
    shape: list[int]
    parameters: Parameters | None = None
    data: Sequence[str | float] | None = None


class InferenceResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the images show.

    Attributes:
        model_name: as it was asked for.
        model_version: that answered.
        outputs: in the order they were asked for.
        id: the request's, if it had one.
    """

    model_name: str
    model_version: str
    outputs: list[ResponseOutput]
    id: str | None = None


class TensorMetadata(msgspec.Struct, frozen=True):
    """An input or output; -1 in its shape is any number."""

    name: str
    datatype: Datatype
    shape: list[int]


class ModelMetadata(msgspec.Struct, frozen=True):
    """A model: what goes in and what comes out.

    Attributes:
        name: as it was asked for.
        versions: the one that is served.
        platform: what computes it.
        inputs: the images.
        outputs: what there is to be asked for.
        parameters: `labels` in the order of the columns of `probabilities`, and what GET /models
            tells of it besides: kind, state, licence.
    """

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: Parameters


class ServerMetadata(msgspec.Struct, frozen=True):
    """The server and the extensions it speaks."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(msgspec.Struct, frozen=True):
    """The gateway process answers."""

    live: bool


class ServerReady(msgspec.Struct, frozen=True):
    """A warm predictor has answered an inference."""

    live: bool
    ready: bool


class ModelReady(msgspec.Struct, frozen=True):
    """The model answers: it is warm, or is loaded when it is asked."""

    name: str
    ready: bool
