"""Clients that ask at the same time, each answer kept with what it should have been."""

import http.client
import io
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from PIL import Image, ImageOps

NO_ANSWER = 0
REFUSED = -1
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What one request got.

    Attributes:
        picture: its number.
        status: of HTTP; NO_ANSWER when the connection broke off, REFUSED when there was none.
        body: the JSON.
        retry_after: the header.
        began: by `time.monotonic`.
        seconds: until the answer was there.
        error: what broke off.
    """

    picture: int
    status: int
    body: dict[str, Any] = field(default_factory=dict)
    retry_after: str | None = None
    began: float = 0.0
    seconds: float = 0.0
    error: str = ""

    @property
    def kind(self) -> str:
        """Status and code, for counting."""
        return f"{self.status} {self.body.get('code', self.error)}".strip()


def different_pictures(face: bytes, count: int = 6) -> list[bytes]:
    """Pictures of a face, no two of the same size: no answer can be taken for another's."""
    whole = Image.open(io.BytesIO(face)).convert("RGB")
    pictures = []
    for number in range(count):
        image = ImageOps.mirror(whole) if number % 2 else whole
        image = image.resize((240 + 16 * number, 320 - 16 * number))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=85)
        pictures.append(out.getvalue())
    return pictures


def ask(connection: http.client.HTTPConnection, picture: int, image: bytes) -> Answer:
    """One request on a connection; it is closed after a failure."""
    began = time.monotonic()
    try:
        if connection.sock is None:
            connection.connect()
    except OSError as error:
        connection.close()
        return Answer(picture, REFUSED, began=began, error=type(error).__name__)
    try:
        connection.request("POST", "/classify", image, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        seconds = time.monotonic() - began
        return Answer(picture, NO_ANSWER, began=began, seconds=seconds, error=repr(error))
    retry_after = answer.getheader("Retry-After")
    seconds = time.monotonic() - began
    return Answer(picture, answer.status, body, retry_after, began, seconds)


def known_answers(url: str, pictures: Sequence[bytes]) -> list[Any]:
    """What each picture gets when nothing is wrong."""
    connection = connect(url)
    answers = [ask(connection, number, image) for number, image in enumerate(pictures)]
    connection.close()
    assert all(answer.status == 200 for answer in answers), [answer.kind for answer in answers]
    known = [answer.body["results"] for answer in answers]
    assert len({json.dumps(results) for results in known}) == len(pictures)
    return known


def connect(url: str) -> http.client.HTTPConnection:
    """Not yet connected; patient."""
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE_S)


class Load:
    """Clients that ask one after another until the block ends.

    Args:
        url: of the service.
        pictures: taken in turn.
        clients: threads.
        pause_s: each waits so long between an answer and its next request.
        keep: each keeps its connection while it can; else every request has a new one.
    """

    def __init__(
        self,
        url: str,
        pictures: Sequence[bytes],
        clients: int,
        pause_s: float = 0.0,
        keep: bool = True,
    ) -> None:
        self._url, self._pictures, self._pause_s, self._keep = url, pictures, pause_s, keep
        self._numbers = itertools.count()
        self._told = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._told.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)
            assert not thread.is_alive(), "a request hangs"

    @property
    def kinds(self) -> Counter[str]:
        """How many answers of each kind."""
        return Counter(answer.kind for answer in self.answers)

    def _client(self) -> None:
        connection = connect(self._url)
        while not self._told.is_set():
            picture = next(self._numbers) % len(self._pictures)
            answer = ask(connection, picture, self._pictures[picture])
            self.answers.append(answer)
            if not self._keep:
                connection.close()
            if answer.status == REFUSED:
                self._told.wait(0.05)
            self._told.wait(self._pause_s)
        connection.close()
