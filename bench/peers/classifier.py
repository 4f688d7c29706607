"""params/emotion as every peer holds it: a picture's bytes in, what JSON can carry out."""

import os
from typing import Any

import cv2

from bench.peers import PROJECT
from models import bundle
from models.predictor import Predictor


class Classifier:
    """The shipped model, warm, set up as this service's own predictor processes set it up.

    One thread at a time: `Predictor` is not for several.
    """

    def __init__(self) -> None:
        self._predictor = Predictor(bundle.load(PROJECT / "params" / "emotion"))
        cv2.setNumThreads(1)  # several processes share the cores

    def __call__(self, jpeg: bytes) -> dict[str, Any]:
        """Classify one picture.

        Args:
            jpeg: the whole file.

        Returns:
            `label` and `probabilities` of the largest face (None and none without a face), and
            `process`, the number of this process.

        Raises:
            ImageError: the picture cannot be read.
        """
        outcome = self._predictor.classify([jpeg])[0]
        if isinstance(outcome, Exception):
            raise outcome
        row = outcome.probabilities
        if row is None:
            return {"label": None, "probabilities": {}, "process": os.getpid()}
        labels = self._predictor.labels
        shares = {name: round(float(share), 5) for name, share in zip(labels, row, strict=True)}
        label = labels[int(row.argmax())]
        return {"label": label, "probabilities": shares, "process": os.getpid()}
