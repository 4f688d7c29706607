"""From the worker's reply to the outputs of the Open Inference Protocol, a row an image.

`label` is that of the largest face (or of the whole picture, for a model that looks at it), empty
where no face was found; `probabilities` are its, by the model's labels in their order, zeros
without a face; `boxes` are x, y, width and height of that face, zeros without one; `answer` is all
that POST /classify tells of the image, as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from flask import Response

from service.errors import ApiError
from service.protocol import ClassifyReply, ImageResult
from service.v2_errors import CONTENT_TYPE
from service.v2_models import Served
from service.v2_requests import Inference, Wanted
from service.v2_schemas import HEADER_LENGTH, InferenceResponse, ResponseOutput
from service.v2_tensors import bytes_tensor, fp32_tensor

_NO_BOX = (0.0, 0.0, 0.0, 0.0)


def see_that_all_are_answered(results: Sequence[ImageResult]) -> None:
    """The protocol has no place for what is wrong with one image of several: all are refused.

    Raises:
        ApiError: of the first image that could not be classified.
    """
    for place, result in enumerate(results, 1):
        if result.error is None:
            continue
        detail = result.error.detail
        if len(results) > 1:
            detail = f"Image {place} of {len(results)}: {detail} None of them is answered."
        raise ApiError(result.error.code, detail)


def wanted_of(asked: Inference, served: Served) -> tuple[Wanted, ...]:
    """The outputs to answer with.

    Raises:
        ApiError: invalid_request where the model has not what is asked for.
    """
    if asked.outputs is None:
        return tuple(Wanted(name, asked.binary) for name in served.outputs)
    for output in asked.outputs:
        if output.name not in served.outputs:
            raise ApiError(
                "invalid_request",
                f"This model has no output {output.name!r}, as it looks for no faces. Its outputs "
                f"are {', '.join(served.outputs)}.",
            )
    return asked.outputs


def response(name: str, asked: Inference, reply: ClassifyReply, served: Served) -> Response:
    """The answer, its tensors in JSON or after it.

    Args:
        name: of the model, as it was asked for.
        asked: the request.
        reply: of the worker; every image has its result.
        served: the model of this reply.
    """
    tensors = []
    outputs = []
    for wanted in wanted_of(asked, served):
        output = _output(wanted.name, reply.results, served.labels, asked.shape)
        if wanted.binary:
            data = output.data or []
            tensor = (
                bytes_tensor([str(text) for text in data])
                if output.datatype == "BYTES"
                else fp32_tensor([float(number) for number in data])
            )
            tensors.append(tensor)
            size = {"binary_data_size": len(tensor)}
            output = msgspec.structs.replace(output, data=None, parameters=size)
        outputs.append(output)
    head = msgspec.json.encode(InferenceResponse(name, reply.version, outputs, asked.id))
    if not tensors:
        return Response(head, content_type=CONTENT_TYPE)
    answer = Response(b"".join([head, *tensors]), content_type="application/octet-stream")
    answer.headers[HEADER_LENGTH] = str(len(head))
    return answer


def _output(
    name: str, results: Sequence[ImageResult], labels: Sequence[str], shape: list[int]
) -> ResponseOutput:
    if name == "label":
        return ResponseOutput(name, "BYTES", shape, data=[one.label or "" for one in results])
    if name == "answer":
        texts = [msgspec.json.encode(one).decode() for one in results]
        return ResponseOutput(name, "BYTES", shape, data=texts)
    rows = len(results)
    if name == "boxes":
        boxes = [one.faces[0].box if one.faces else _NO_BOX for one in results]
        return ResponseOutput(name, "FP32", [rows, 4], data=[side for box in boxes for side in box])
    numbers = [one.probabilities.get(label, 0.0) for one in results for label in labels]
    return ResponseOutput(name, "FP32", [rows, len(labels)], data=numbers)
