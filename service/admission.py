"""Whether a request is taken, and who answers it."""

from dataclasses import dataclass

from models.errors import unexplained
from service.choosing import chosen
from service.crew import Crew
from service.crews import Crews
from service.errors import ApiError
from service.protocol import ClassifyRequest, ModelInfo

MAX_IMAGES = 8


@dataclass(frozen=True, slots=True)
class Place:
    """One model that answers a request.

    Attributes:
        crew: who holds it.
        model: its name.
    """

    crew: Crew
    model: str

    @property
    def version(self) -> str:
        """Of the model."""
        return self.crew.catalog.models[self.model].version


class Admission:
    """Looks at requests as they come.

    Args:
        crews: who may answer.
        queue_size: images that may wait for one of them.
    """

    def __init__(self, crews: Crews, queue_size: int) -> None:
        self._crews = crews
        self._queue_size = queue_size

    def places(self, request: ClassifyRequest, images: int) -> list[Place]:
        """Who answers a request of so many images: one model, or those that are averaged.

        Raises:
            ApiError: why it is not taken.
        """
        present = self._crews.present
        catalog = present.catalog
        asked = request.model or catalog.default
        infos = chosen(asked, catalog.models)
        wanted = [info.name for info in infos]
        if request.explain:
            _see_that_it_explains(asked, infos[0], averaged=len(infos) > 1)
        if not 1 <= images <= MAX_IMAGES:
            raise ApiError(
                "too_many_images" if images else "image_missing",
                f"A request takes 1 to {MAX_IMAGES} images and this one has {images}.",
            )
        guests = [name for name in wanted if name in catalog.guests]
        there = [present] * (len(wanted) - len(guests))
        if there and not self._crews.was_complete and not present.pool.ready:
            raise ApiError("not_ready", present.why_not_ready, 1.0)
        there += [crew for name in guests if (crew := self._crews.guests.crew_of(name))]
        for crew in there:
            self._see_that_it_has_time(crew, images * there.count(crew))
        if not guests:
            return [Place(present, name) for name in wanted]
        came = dict(zip(guests, self._crews.guests.welcome(guests), strict=True))
        return [Place(came.get(name, present), name) for name in wanted]

    def _see_that_it_has_time(self, crew: Crew, images: int) -> None:
        # An idle process takes one as soon as this round of accepting is over.
        if len(crew.queue) + images <= self._queue_size + crew.pool.idle:
            return
        raise ApiError(
            "overloaded",
            f"{len(crew.queue)} images are waiting and the queue holds {self._queue_size}. "
            "Try again in a moment.",
            max(1.0, len(crew.queue) * crew.image_ms / 1e3 / crew.pool.size),
        )


def _see_that_it_explains(asked: str, info: ModelInfo, averaged: bool) -> None:
    if averaged:
        raise ApiError(
            "not_explainable",
            "An average of models cannot show what decided: each looks at other places. Ask one "
            "of them with `explain`, or leave `explain` away.",
        )
    if not info.explains:
        unable = unexplained(asked)
        raise ApiError(unable.code, str(unable))
