"""A BentoML service: `bentoml serve bench.peers.bentoml_peer:Emotion`.

Settings: two workers, one a core; a root input of bytes, so that the body is the picture and no
temporary file is written; one thread a worker (its default, and all the model can take); no
batching (its default); access log off. Metrics stay on, as they are by default.
"""

from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType

from bench.peers import CORES
from bench.peers.classifier import Classifier


@bentoml.service(
    workers=CORES,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
)
class Emotion:
    """One a worker process."""

    def __init__(self) -> None:
        self.classifier = Classifier()

    @bentoml.api(route="/classify")
    def classify(self, image: Annotated[bytes, ContentType("image/jpeg")], /) -> dict[str, Any]:
        """Classify the picture that is the body."""
        return self.classifier(image)
