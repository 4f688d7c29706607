"""What the worker answers over its socket."""

import itertools
from pathlib import Path

import msgspec
import pytest

from service.protocol import ClassifyReply, ErrorReply, Explanation, FacesMode
from tests.pictures import two_faces
from tests.worker.conftest import WarmWorker

EMOTIONS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]


def test_a_face_is_found_and_its_expression_named(worker: WarmWorker, face_jpeg: bytes) -> None:
    reply = worker.client.classify(face_jpeg)
    assert isinstance(reply, ClassifyReply)
    assert reply.id == "one" and reply.model == "emotion" and reply.version
    (result,) = reply.results
    assert result.size is not None and (result.size.width, result.size.height) == (512, 512)
    assert sorted(result.probabilities) == EMOTIONS
    assert sum(result.probabilities.values()) == pytest.approx(1.0, abs=1e-3)
    ranked = list(result.probabilities.items())
    assert ranked == sorted(ranked, key=lambda item: -item[1])
    assert (result.label, result.probability) == ranked[0]
    (face,) = result.faces
    x, y, width, height = face.box
    assert 180 < x + width / 2 < 270 and 80 < y + height / 2 < 150, "the astronaut's face is there"
    assert face.label == result.label and face.probabilities == result.probabilities


def test_the_worker_itself_holds_no_library_for_pixels(
    worker: WarmWorker, face_jpeg: bytes
) -> None:
    assert isinstance(worker.client.classify(face_jpeg), ClassifyReply)
    held = Path(f"/proc/{worker.running.process.pid}/maps").read_text()
    assert "_zmq" in held, "what it does load is seen so"
    assert not [name for name in ("/numpy/", "/cv2/", "/PIL/", "/paddle/") if name in held]


def test_a_predictor_uses_its_memory_again(worker: WarmWorker, face_jpeg: bytes) -> None:
    for _ in range(10):
        worker.client.classify(face_jpeg)
    before = _faults(worker)
    for _ in range(20):
        worker.client.classify(face_jpeg)
    assert (_faults(worker) - before) / 20 < 50, "the picture alone has 192 pages"


def _faults(worker: WarmWorker) -> int:
    """Pages that the predictors had to be given."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2] for pid in worker.predictors]
    return sum(int(field.split()[7]) for field in fields)


def test_times_are_told_and_add_up(worker: WarmWorker, face_jpeg: bytes) -> None:
    reply = worker.client.classify(face_jpeg)
    assert isinstance(reply, ClassifyReply)
    times = reply.timings_ms
    stages = (times.queue, times.decode, times.detect, times.classify)
    assert all(stage >= 0 for stage in stages) and min(stages[1:]) > 0
    assert sum(stages) <= times.total + 0.1


def test_eight_images_come_back_in_order_and_a_bad_one_spoils_no_other(
    worker: WarmWorker, face_jpeg: bytes, landscape_png: bytes
) -> None:
    images = [face_jpeg, b"junk", landscape_png, face_jpeg[:9000], b"", landscape_png, face_jpeg]
    reply = worker.client.classify(*images, face_jpeg)
    assert isinstance(reply, ClassifyReply)
    codes = [result.error and result.error.code for result in reply.results]
    broken = ["unsupported_image", None, "image_broken", "empty_image"]
    assert codes == [None, *broken, None, None, None]
    assert [len(result.faces) for result in reply.results] == [1, 0, 0, 0, 0, 0, 1, 1]
    assert reply.results[0] == reply.results[6] == reply.results[7]


def test_without_a_face_the_answer_is_empty_and_no_error(
    worker: WarmWorker, landscape_png: bytes
) -> None:
    reply = worker.client.classify(landscape_png)
    assert isinstance(reply, ClassifyReply)
    (result,) = reply.results
    assert (result.label, result.probability, result.probabilities) == (None, None, {})
    assert result.faces == [] and result.error is None and result.size is not None


def test_whole_takes_the_picture_as_the_face(worker: WarmWorker, landscape_png: bytes) -> None:
    reply = worker.client.classify(landscape_png, faces="whole")
    assert isinstance(reply, ClassifyReply)
    (face,) = reply.results[0].faces
    assert face.box == (0, 0, 320, 240) and face.score == 1.0
    assert reply.results[0].label == face.label


@pytest.mark.parametrize("faces", ["auto", "all", "largest", "whole"])
def test_every_way_to_look_for_faces_answers(
    worker: WarmWorker, face_jpeg: bytes, faces: FacesMode
) -> None:
    reply = worker.client.classify(face_jpeg, faces=faces)
    assert isinstance(reply, ClassifyReply)
    assert len(reply.results[0].faces) == 1


def test_two_faces_are_told_apart_and_largest_keeps_one(
    worker: WarmWorker, face_jpeg: bytes
) -> None:
    both = two_faces(face_jpeg)
    reply = worker.client.classify(both)
    assert isinstance(reply, ClassifyReply)
    areas = [face.box[2] * face.box[3] for face in reply.results[0].faces]
    assert len(areas) == 2 and areas[0] > areas[1], "largest first"
    reply = worker.client.classify(both, faces="largest")
    assert isinstance(reply, ClassifyReply)
    assert len(reply.results[0].faces) == 1


def test_top_cuts_the_probabilities(worker: WarmWorker, face_jpeg: bytes) -> None:
    whole = worker.client.classify(face_jpeg)
    cut = worker.client.classify(face_jpeg, top=2)
    assert isinstance(whole, ClassifyReply) and isinstance(cut, ClassifyReply)
    first_two = dict(itertools.islice(whole.results[0].probabilities.items(), 2))
    assert cut.results[0].probabilities == cut.results[0].faces[0].probabilities == first_two


def test_the_same_image_gets_the_same_answer(worker: WarmWorker, face_jpeg: bytes) -> None:
    replies = [worker.client.classify(face_jpeg) for _ in range(5)]
    assert all(isinstance(reply, ClassifyReply) for reply in replies)
    results = [reply.results for reply in replies if isinstance(reply, ClassifyReply)]
    assert all(result == results[0] for result in results)


def test_what_decided_is_told_when_asked_for(worker: WarmWorker, face_jpeg: bytes) -> None:
    plain = worker.client.classify(face_jpeg)
    told = worker.client.classify(face_jpeg, explain=True, top=1)
    assert isinstance(plain, ClassifyReply) and isinstance(told, ClassifyReply)
    (unexplained,), (face,) = plain.results[0].faces, told.results[0].faces
    assert unexplained.explanation is msgspec.UNSET and unexplained.label == face.label
    assert isinstance(face.explanation, Explanation) and face.explanation.label == face.label
    shares = [share for row in face.explanation.map for share in row]
    assert len(shares) == 36 and sum(map(abs, shares)) == pytest.approx(1, abs=1e-3)
    x, y = (sum(values) / 4 for values in zip(*face.explanation.corners, strict=True))
    assert face.box[0] < x < face.box[0] + face.box[2]
    assert face.box[1] < y < face.box[1] + face.box[3]
    assert told.results[0].explanation is msgspec.UNSET, "it stands with the face"


def test_of_a_whole_picture_its_middle_square_is_explained(
    worker: WarmWorker, face_jpeg: bytes
) -> None:
    reply = worker.client.classify(face_jpeg, explain=True, faces="whole")
    (face,) = reply.results[0].faces  # type: ignore[union-attr]
    assert face.explanation.corners == ((0, 0), (512, 0), (512, 512), (0, 512))  # type: ignore[union-attr]


def test_an_unknown_model_is_named_with_those_there_are(
    worker: WarmWorker, face_jpeg: bytes
) -> None:
    reply = worker.client.classify(face_jpeg, model="emotoin")
    assert isinstance(reply, ErrorReply)
    assert reply.code == "model_not_found" and "'emotoin'" in reply.detail
    assert "emotion" in reply.detail and reply.retry_after_s is None


@pytest.mark.parametrize("count", [0, 9])
def test_one_to_eight_images_and_no_other_number(
    worker: WarmWorker, face_jpeg: bytes, count: int
) -> None:
    reply = worker.client.classify(*[face_jpeg] * count)
    assert isinstance(reply, ErrorReply)
    assert reply.code == ("too_many_images" if count else "image_missing")


def test_frames_that_are_no_message_are_passed_over(worker: WarmWorker, face_jpeg: bytes) -> None:
    for frames in ([b""], [b"\xff" * 100], [b"\x93" * 5000], [b"a", b"b", b"c"]):
        worker.client.socket.send_multipart(frames)
    assert isinstance(worker.client.classify(face_jpeg), ClassifyReply)


def test_the_status_tells_what_is_served(worker: WarmWorker) -> None:
    status = worker.client.status()
    assert status.ready and status.reason == ""
    assert status.default_model == "emotion"
    assert (status.predictors_ready, status.predictors, status.queue_length) == (1, 1, 0)
    emotion = next(model for model in status.models if model.name == "emotion")
    assert sorted(emotion.labels) == EMOTIONS and emotion.faces and emotion.error is None
    assert emotion.explains
    assert emotion.licence and emotion.protocol and emotion.metrics
    resident = [model.name for model in status.models if ":" not in model.name]
    assert resident == ["emotion", "smile"], "params/face answers nothing"


def test_the_parent_holds_no_paddle(worker: WarmWorker) -> None:
    maps = Path(f"/proc/{worker.running.process.pid}/maps").read_text()
    assert "zmq" in maps and "libpaddle" not in maps
    (predictor,) = worker.predictors
    assert "libpaddle" in Path(f"/proc/{predictor}/maps").read_text(), "so the look sees it"
