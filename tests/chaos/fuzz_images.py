"""Coverage-guided fuzzing of the decoder: whatever the bytes, a picture or a documented error.

    $ python -m tests.chaos.fuzz_images CORPUS -max_total_time=600

Atheris mutates the files of the folder CORPUS and keeps those that reach new lines of
models/images.py, models/headers.py and Pillow. It ends with a file crash-… or timeout-… for an
input that broke the promise. All of libFuzzer's options are taken.
"""

import resource
import sys
from types import ModuleType

MAX_PIXELS = 1_000_000
"""Small, so that thousands of inputs a second are tried."""
MEMORY_BYTES = 2 << 30


def keeps_its_promise(images: ModuleType, data: bytes) -> None:
    """Decode bytes; fails where that is neither a picture nor an error with a documented code."""
    from models.errors import ImageError
    from service.errors import PROBLEMS

    try:
        picture = images.decode_enough(data, 200, MAX_PIXELS)
    except ImageError as error:
        assert PROBLEMS[error.code].status < 500 and str(error).strip()
        return
    assert picture.width * picture.height <= MAX_PIXELS
    height, width, channels = picture.pixels.shape
    assert channels == 3 and picture.pixels.dtype == "uint8" and picture.pixels.flags.c_contiguous
    assert abs(width * picture.scale - picture.width) <= picture.scale
    assert abs(height * picture.scale - picture.height) <= picture.scale


def main() -> None:
    """Fuzz until the time that libFuzzer's options give is over."""
    import atheris

    with atheris.instrument_imports(include=["PIL", "models.images", "models.headers"]):
        from models import images
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    atheris.Setup(sys.argv, lambda data: keeps_its_promise(images, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
