"""Tensors as bytes: little-endian, row by row; an element of BYTES after its length in four bytes.

https://github.com/kserve/open-inference-protocol and its binary tensor data extension.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from service.errors import ApiError

_LENGTH = struct.Struct("<I")


def bytes_elements(data: memoryview, number: int) -> list[bytes]:
    """The elements of a BYTES tensor.

    Args:
        data: all of the tensor.
        number: of elements that its shape tells.

    Raises:
        ApiError: invalid_request where lengths and shape do not add up.
    """
    elements: list[bytes] = []
    at = 0
    for _ in range(number):
        begins = at + _LENGTH.size
        if begins > len(data):
            raise _does_not_add_up(f"it ends before element {len(elements) + 1} of {number}")
        at = begins + _LENGTH.unpack_from(data, at)[0]
        if at > len(data):
            raise _does_not_add_up(
                f"element {len(elements) + 1} says that it has {at - begins} bytes and "
                f"{len(data) - begins} are left"
            )
        elements.append(bytes(data[begins:at]))
    if at < len(data):
        raise _does_not_add_up(f"{len(data) - at} bytes follow its {number} elements")
    return elements


def bytes_tensor(elements: Sequence[str]) -> bytes:
    """Texts as a BYTES tensor, in UTF-8."""
    texts = [element.encode() for element in elements]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))


def fp32_tensor(numbers: Sequence[float]) -> bytes:
    """Numbers as an FP32 tensor."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def _does_not_add_up(why: str) -> ApiError:
    return ApiError(
        "invalid_request",
        f"The bytes of a BYTES tensor do not add up: {why}. Send each element as its length (four "
        "bytes, the lowest first) and then its bytes.",
    )
