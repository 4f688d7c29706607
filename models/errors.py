"""Errors that models/ raises on purpose: each message is a whole sentence for the person at the
keyboard."""


class HyojoError(Exception):
    """What happened, why, and what to do about it.

    Args:
        message: one or two sentences for people; no traceback is needed to understand it.
        code: a stable word for programs (`image_broken`, `bundle_invalid`, …).
    """

    code = "error"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class ImageError(HyojoError):
    """Bytes that are no image we can read.

    Codes: `empty_image`, `unsupported_image`, `image_broken`, `image_too_large`,
    `image_too_complex`.
    """

    code = "unsupported_image"


class VideoError(HyojoError):
    """A file that is no video we can read."""

    code = "unsupported_video"


class BundleError(HyojoError):
    """A model bundle that is missing, incomplete or altered."""

    code = "bundle_invalid"


class WeightsError(HyojoError):
    """Published weights that cannot be brought here, are not what was published, or are unsafe to
    read."""

    code = "weights_invalid"


class DataError(HyojoError):
    """A data folder that cannot be trained on."""

    code = "data_invalid"


class DiskError(HyojoError):
    """A disk that is full, or that cannot be written for another reason."""


class UsageError(HyojoError):
    """Options that do not go together or name something unknown."""

    code = "usage"


def unexplained(name: str) -> UsageError:
    """The error for a model whose export tells no evidence by place."""
    return UsageError(
        f"The model {name!r} cannot show what decided: its export does not tell the places apart. "
        "Train it anew with train.py; --network mobilenet_face and face_cnn can show it, "
        "PaddleClas's networks cannot.",
        "not_explainable",
    )
