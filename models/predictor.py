"""A bundle, warm, in Paddle Inference: pictures in, faces and probabilities out. One thread, one
process.

`run()` holds Python's lock and one predictor shared by threads mixes up results: scale with
processes, one `Predictor` each.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models import batches, images
from models.bundle import GRAPH, PARAMETERS, Bundle, remedy
from models.engine import Engine
from models.errors import BundleError, ImageError, UsageError, unexplained
from models.explain import Explanation, contrast
from models.faces import Face
from models.looking import FACES_MODES, FacesMode, Look, Looker


@dataclass(frozen=True)
class Prediction:
    """What one picture shows.

    Attributes:
        width: of the upright picture, in pixels.
        height: likewise.
        faces: largest first; empty where none was found or none was looked for.
        face_probabilities: float32 (faces, labels), in the bundle's order of labels.
        whole: float32 (labels,) of the whole picture for a model that wants no face, else None.
        timings_ms: decode, detect (find and cut) and classify.
        explanations: one a face, or one of the whole picture; empty unless asked for.
    """

    width: int
    height: int
    faces: tuple[Face, ...]
    face_probabilities: np.ndarray
    whole: np.ndarray | None
    timings_ms: dict[str, float] = field(default_factory=dict)
    explanations: tuple[Explanation, ...] = ()

    @property
    def probabilities(self) -> np.ndarray | None:
        """float32 (labels,): of the largest face, else of the whole picture, else None."""
        return self.face_probabilities[0] if self.faces else self.whole


class Predictor:
    """A bundle ready to answer.

    Args:
        bundle: verified, see `models.bundle.load`.
        max_pixels: larger pictures are refused.
        largest_batch: crops that the network is given at once; fewer take less memory, and less
            time to start.

    Raises:
        BundleError: the network cannot be loaded or does not answer as its manifest says.
    """

    def __init__(
        self, bundle: Bundle, max_pixels: int = images.MAX_PIXELS, largest_batch: int = 8
    ) -> None:
        self.bundle = bundle
        self._sizes = batches.sizes(largest_batch)
        self.labels = bundle.manifest.labels
        given = bundle.manifest
        self._looker = Looker(given.faces, given.input.size, max_pixels)
        self._network = _load(bundle)
        if given.explains and self._network.outputs != 2:
            raise _unfit(bundle, "its manifest says that it explains, and it has one output")
        self._warm_up()

    def probabilities(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Classify crops.

        Args:
            crops: N arrays, uint8 (size, size, 3), RGB, as `models.faces.crop` cuts them.

        Returns:
            float32 (N, labels); each row sums to 1.
        """
        return self._answers(crops, explain=False)[0]

    def classify(
        self,
        pictures: Sequence[bytes | np.ndarray],
        faces: FacesMode = "auto",
        explain: bool = False,
    ) -> list[Prediction | ImageError]:
        """Decode pictures, find their faces and classify all of them together.

        Args:
            pictures: files' bytes, or decoded uint8 (height, width, 3) RGB arrays.
            faces: `auto` as the bundle wants; `all` searches finely; `largest` keeps one face;
                `whole` takes the picture as the face.
            explain: tell too which places spoke for each label.

        Returns:
            one a picture, in order: the `Prediction`, or the `ImageError` that says why there is
            none.

        Raises:
            UsageError: unknown mode, or a model that cannot explain (code `not_explainable`).
        """
        if faces not in FACES_MODES:
            raise UsageError(f"faces={faces!r} is unknown. Use one of {', '.join(FACES_MODES)}.")
        if explain and not self.bundle.manifest.explains:
            raise unexplained(self.bundle.manifest.name)
        return self._told(
            [self._looker.look_or_say(picture, faces) for picture in pictures], explain
        )

    def follow(
        self, frames: Sequence[np.ndarray], faces: FacesMode = "auto"
    ) -> list[Prediction | ImageError]:
        """Classify consecutive frames of a video together; see `Looker.look_through`.

        Args:
            frames: uint8 (height, width, 3) RGB arrays.
            faces: as for `classify`.
        """
        return self._told(self._looker.look_through(frames, faces), explain=False)

    def company_saves(self) -> float:
        """Share of a lone crop's time in the network that it is spared in a full batch.

        Processor time, measured here and now, the best of three calls each; 0 where it sees one at
        a time.
        """
        most = self._sizes[-1]
        if most < 2:
            return 0.0
        size = self.bundle.manifest.input.size
        crops = [np.full((size, size, 3), 127, np.uint8)] * most
        alone, together = math.inf, math.inf
        for _ in range(3):
            began = time.process_time()
            self._answers(crops[:1], explain=False)
            between = time.process_time()
            self._answers(crops, explain=False)
            alone = min(alone, between - began)
            together = min(together, time.process_time() - between)
        return 1 - together / (most * alone)

    def _told(
        self, looks: Sequence[Look | ImageError], explain: bool
    ) -> list[Prediction | ImageError]:
        """Classify all that was cut at once; one prediction a look, in order."""
        crops = [crop for look in looks if isinstance(look, Look) for crop in look.crops]
        start = time.perf_counter()
        scores, evidence = self._answers(crops, explain)
        each_ms = (time.perf_counter() - start) * 1e3 / max(1, len(crops))
        predictions: list[Prediction | ImageError] = []
        for look in looks:
            if isinstance(look, ImageError):
                predictions.append(look)
                continue
            count = len(look.crops)
            mine, scores = scores[:count], scores[count:]
            maps, evidence = evidence[:count], evidence[count:]
            explained = self._explained(look, mine, maps) if explain else ()
            predictions.append(_prediction(look, mine, each_ms * count, explained))
        return predictions

    def _answers(
        self, crops: Sequence[np.ndarray], explain: bool
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Probabilities (N, labels) of N crops; if asked, the evidence (labels, h, w) of each."""
        spec = self.bundle.manifest.input
        rows = [np.empty((0, len(self.labels)), np.float32)]
        evidence: list[np.ndarray] = []
        start = 0
        while start < len(crops):
            size = max(size for size in self._sizes if size <= len(crops) - start)
            rows.append(self._network.run(spec.tensor(crops[start : start + size])))
            if explain:
                evidence += list(self._network.output(1))
            start += size
        return np.concatenate(rows), evidence

    def _explained(
        self, look: Look, scores: np.ndarray, evidence: list[np.ndarray]
    ) -> tuple[Explanation, ...]:
        explanations = []
        for row, places, square in zip(scores, evidence, look.corners, strict=True):
            best = int(row.argmax())
            explanations.append(Explanation(self.labels[best], contrast(places, best), square))
        return tuple(explanations)

    def _warm_up(self) -> None:
        """Answer once at each batch size, and see that the manifest keeps its word."""
        size = self.bundle.manifest.input.size
        blank = np.full((size, size, 3), 127, np.uint8)
        for count in self._sizes:
            try:
                answer = self._network.run(self.bundle.manifest.input.tensor([blank] * count))
            except Exception as error:
                raise _unfit(self.bundle, str(error).strip().split("\n")[-1][:200]) from None
            if answer.shape != (count, len(self.labels)):
                raise _unfit(
                    self.bundle,
                    f"it answers {answer.shape} for {count} crops and {len(self.labels)} labels",
                )
            if not np.allclose(answer.sum(axis=1), 1.0, atol=1e-3):
                raise _unfit(self.bundle, "its probabilities do not sum to 1")
        if self.bundle.manifest.explains:
            shape = self._network.output(1).shape
            if len(shape) != 4 or shape[:2] not in (answer.shape, (len(answer), 1)):
                raise _unfit(self.bundle, f"its evidence by place has the shape {shape}")


def _prediction(
    look: Look, scores: np.ndarray, classify_ms: float, explanations: tuple[Explanation, ...]
) -> Prediction:
    whole = scores[0] if len(scores) and not look.faces else None
    return Prediction(
        look.width,
        look.height,
        look.faces,
        scores if look.faces else scores[:0],
        whole,
        {**look.timings_ms, "classify": classify_ms},
        explanations,
    )


def _load(bundle: Bundle) -> Engine:
    try:
        return Engine(bundle.file(GRAPH), bundle.file(PARAMETERS))
    except UsageError:  # Paddle itself is missing
        raise
    except Exception as error:
        raise _unfit(bundle, str(error).strip().split("\n")[-1][:200]) from None


def _unfit(bundle: Bundle, why: str) -> BundleError:
    return BundleError(
        f"The network of the model bundle {bundle.path} cannot be used: {why}. To mend it, "
        f"{remedy(bundle.manifest)}.",
        "bundle_unfit",
    )
