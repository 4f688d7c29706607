"""Hyojo: a service that says what pictures show."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias, overload
from urllib.parse import urlencode

from urllib3.filepost import encode_multipart_formdata

from hyojo.answers import Model, Problem, Result, models_of, results_of
from hyojo.errors import OF_A_PICTURE, TIMED_OUT, TOO_MUCH, UNREADABLE_FILE, HyojoError
from hyojo.pictures import SINGLE, Picture, batches, content
from hyojo.wire import Waiting, Wire

Faces: TypeAlias = Literal["auto", "all", "largest", "whole"]
URL = "http://127.0.0.1:8000"
_RAW = "application/octet-stream"


class Hyojo:
    """One service. Threads may share it; its connections are kept and used again.

    Args:
        url: of the service; without it HYOJO_URL of the environment, or http://127.0.0.1:8000.
        key: where the service asks for one; without it HYOJO_KEY of the environment.
        timeout_s: seconds one try may take.
        patience_s: seconds within which a request is tried again that failed for a reason that
            passes, never sooner than the service asks; 0 tries once. A call ends after both
            together at the latest.
        waiting: called before each wait with the error and the seconds; None for nobody.

    Raises:
        ValueError: the address, the key or a number cannot be used.

    Example:
        >>> with Hyojo() as hyojo:
        ...     hyojo.classify("photo.jpg").label
        'happiness'
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout_s: float = 30.0,
        patience_s: float = 30.0,
        waiting: Waiting | None = None,
    ) -> None:
        url = (os.environ.get("HYOJO_URL") or URL) if url is None else url
        key = os.environ.get("HYOJO_KEY", "") if key is None else key
        self._wire = Wire(url, key.strip(), timeout_s, patience_s, waiting)

    @overload  # a str is an iterable of str, too: the first that fits counts
    def classify(  # type: ignore[overload-overlap]
        self,
        picture: Picture,
        *,
        model: str | None = None,
        top: int | None = None,
        faces: Faces = "auto",
        explain: bool = False,
    ) -> Result: ...

    @overload
    def classify(
        self,
        picture: Iterable[Picture],
        *,
        model: str | None = None,
        top: int | None = None,
        faces: Faces = "auto",
        explain: bool = False,
    ) -> list[Result]: ...

    def classify(
        self,
        picture: Picture | Iterable[Picture],
        *,
        model: str | None = None,
        top: int | None = None,
        faces: Faces = "auto",
        explain: bool = False,
    ) -> Result | list[Result]:
        """What a picture shows; or each of several.

        Args:
            picture: the path of an image file, its bytes, or an open file; or several of them,
                which are read and sent up to eight at a time.
            model: by name, as `models()` lists them; without it the service's default.
            top: how many labels `probabilities` holds, the likeliest first; all without it.
            faces: `auto` as the model wants, `all` small ones too, `largest` one, `whole` takes
                the whole picture as the face.
            explain: tell which places decided, too.

        Returns:
            the result; of several pictures a list, in their order, in which one that cannot be
            read or classified has an `error`, and the others their results.

        Raises:
            HyojoError: the service did not answer, or refused; of a single picture also what is
                wrong with it.
            OSError: the file of a single picture cannot be read.
            TypeError: it is no picture.
        """
        path = _path(model, top, faces, explain)
        if isinstance(picture, SINGLE):
            return results_of(self._wire.ask("POST", path, content(picture), _RAW), 1)[0]
        return list(self._each(picture, path))

    def classify_each(
        self,
        pictures: Iterable[Picture],
        *,
        model: str | None = None,
        top: int | None = None,
        faces: Faces = "auto",
        explain: bool = False,
    ) -> Iterator[Result]:
        """As `classify` with several pictures, but each result as it comes: for very many."""
        return self._each(pictures, _path(model, top, faces, explain))

    def models(self) -> tuple[Model, ...]:
        """The models that the service knows of.

        Raises:
            HyojoError: the service did not answer, or refused.
        """
        return models_of(self._wire.ask("GET", "/models"))

    def ready(self) -> bool:
        """Whether the service can answer now; asked once, without patience.

        Raises:
            HyojoError: what is there refuses to say (a key is needed), or is no Hyojo.
        """
        try:
            answer = self._wire.ask("GET", "/readyz", again=False)
        except HyojoError as error:
            if error.passing or error.code == TIMED_OUT:
                return False
            raise
        return isinstance(answer, dict) and answer.get("ready") is True

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._wire.close()

    def __enter__(self) -> Hyojo:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Hyojo({self._wire.url!r})"

    def _each(self, pictures: Iterable[Picture], path: str) -> Iterator[Result]:
        for batch in batches(pictures):
            images = [image for image in batch if isinstance(image, bytes)]
            told = iter(self._ask(images, path) if images else [])
            for image in batch:
                yield next(told) if isinstance(image, bytes) else _unreadable(image)

    def _ask(self, images: list[bytes], path: str) -> list[Result]:
        """One result an image; what is wrong with one of them costs none of the others."""
        try:
            if len(images) == 1:
                return results_of(self._wire.ask("POST", path, images[0], _RAW), 1)
            form = [("image", ("picture", image, _RAW)) for image in images]
            body, kind = encode_multipart_formdata(form)
            return results_of(self._wire.ask("POST", path, body, kind), len(images))
        except HyojoError as error:
            if len(images) > 1 and error.code in TOO_MUCH:
                return [result for image in images for result in self._ask([image], path)]
            if len(images) == 1 and error.code in OF_A_PICTURE | TOO_MUCH:
                problem = Problem(error.code, error.sentence)
                return [Result(error=problem, request_id=error.request_id)]
            raise


def _path(model: str | None, top: int | None, faces: str, explain: bool) -> str:
    asked = {"model": model, "top": top, "faces": None if faces == "auto" else faces}
    query = {name: value for name, value in asked.items() if value is not None}
    if explain:
        query["explain"] = "true"
    return f"/classify?{urlencode(query)}" if query else "/classify"


def _unreadable(error: OSError) -> Result:
    sentence = f"The file cannot be read: {error.strerror or error}."
    return Result(error=Problem(UNREADABLE_FILE, sentence))
