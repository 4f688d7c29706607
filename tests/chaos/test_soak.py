"""Many requests of every kind, good, bad and given up: nothing grows.

`make soak` sends 100,000; HYOJO_TEST_SOAK_REQUESTS sets another number, in `make test` too.
"""

import json
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.amount import amount
from tests.chaos.conftest import of_kind, readiness, seconds_until
from tests.chaos.load import Load, connect, known_answers
from tests.conftest import PROJECT, Running
from tests.contract.test_gateway_process import resident_mb

REQUESTS = int(os.environ.get("HYOJO_TEST_SOAK_REQUESTS") or amount(400, 100_000))
PARTS = 10
LONG = 20_000
CLIENTS = 8
HEAD = (
    "POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
)
PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n%s\r\n'


@dataclass(frozen=True)
class Mix:
    """Requests of all kinds by name; each returns what came of it.

    Args:
        url: of the service.
        pictures: good ones.
        known: their answers.
    """

    url: str
    pictures: list[bytes]
    known: list[Any]

    def good(self, chance: random.Random) -> str:
        number = chance.randrange(len(self.pictures))
        status, body = self._post(self.pictures[number])
        assert status == 200 and body["results"] == self.known[number], (status, body)
        return "200"

    def several(self, chance: random.Random) -> str:
        """A form, of which one image is no image."""
        parts = [chance.choice(self.pictures), b"no image"]
        form = b"".join(PART % part for part in parts)
        status, body = self._post(form + b"--b--\r\n", "multipart/form-data; boundary=b")
        assert status == 200 and body["results"][1]["error"], (status, body)
        return "200 with an error inside"

    def bad(self, chance: random.Random) -> str:
        whole = chance.choice(self.pictures)
        flipped = bytearray(whole)
        for _ in range(20):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        picture = chance.choice(
            [b"", b"no image", whole[: chance.randrange(2, len(whole))], bytes(flipped)]
        )
        status, body = self._post(picture)
        assert status == 200 or 400 <= status < 500, (status, body)
        return str(status)

    def nonsense(self, chance: random.Random) -> str:
        kind, body = chance.choice(
            [("application/json", b"{"), ("text/plain", b"?"), ("multipart/form-data", b"--")]
        )
        status, told = self._post(body, kind)
        assert 400 <= status < 500, told
        return str(status)

    def cut_off(self, chance: random.Random) -> str:
        """The client leaves in the middle of its request."""
        picture = chance.choice(self.pictures)
        with self._raw() as client:
            sent = HEAD.format(len(picture)).encode() + picture
            client.sendall(sent[: chance.randrange(1, len(sent))])
        return "left while sending"

    def given_up(self, chance: random.Random) -> str:
        """The client leaves before its answer."""
        picture = chance.choice(self.pictures)
        with self._raw() as client:
            client.sendall(HEAD.format(len(picture)).encode() + picture)
            time.sleep(chance.random() * 0.02)
        return "left before the answer"

    def _raw(self) -> socket.socket:
        host, port = self.url.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=30)

    def _post(self, body: bytes, kind: str = "image/jpeg") -> tuple[int, Any]:
        with closing(connect(self.url)) as connection:
            connection.request("POST", "/classify", body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


def measure(running: Running) -> dict[str, tuple[float, int]]:
    """Resident MB and open files of every process that serves."""
    processes = {"worker": of_kind(running, "infer.py")[0]}
    processes["gateway"] = of_kind(running, "gunicorn")[-1]
    for number, pid in enumerate(sorted(of_kind(running, "predictor"))):
        processes[f"predictor {number}"] = pid
    return {
        name: (resident_mb(pid), len(os.listdir(f"/proc/{pid}/fd")))
        for name, pid in processes.items()
    }


def test_nothing_grows(
    start: Callable[..., Running], pictures: list[bytes], figure: Callable[[str], None]
) -> None:
    running = start(predictors=2, log_level="warning")
    mix = Mix(running.url, pictures, known_answers(running.url, pictures))
    kinds = [mix.good] * 12 + [mix.several] * 2 + [mix.bad] * 3 + [mix.nonsense]
    kinds += [mix.cut_off, mix.given_up]
    with Load(running.url, pictures, clients=24):  # every thread has its sockets before we count
        time.sleep(3)
    outcomes: Counter[str] = Counter()
    samples = []
    pids = set(of_kind(running, "predictor"))
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        for part in range(PARTS):
            chances = [random.Random(f"{part}.{n}") for n in range(REQUESTS // PARTS)]
            outcomes.update(clients.map(lambda c: c.choice(kinds)(c), chances))
            seconds_until(lambda: readiness(running.url).get("queue_length") == 0, 20, "rest")
            time.sleep(0.5)
            samples.append(measure(running))
    seconds = time.monotonic() - began
    figure(f"soak: {REQUESTS} requests in {seconds:.0f} s: {dict(outcomes.most_common())}")
    table = ["requests  " + "  ".join(f"{name:>17}" for name in samples[0])]
    for part, sample in enumerate(samples, 1):
        cells = "  ".join(f"{mb:9.1f} MB {files:3d} f" for mb, files in sample.values())
        table.append(f"{REQUESTS * part // PARTS:8d}  {cells}")
    for line in table:
        figure(line)
    out = PROJECT / "test-output"
    out.mkdir(exist_ok=True)
    Path(out / "soak.txt").write_text("\n".join(table) + "\n")

    assert set(of_kind(running, "predictor")) == pids, "a predictor was replaced"
    # A short run has not yet seen every size and every thread by its first tenth.
    settled = 0 if REQUESTS >= LONG else PARTS // 2
    growth = 1.05 if REQUESTS >= LONG else 1.10
    for name, (mb, files) in samples[settled].items():
        later = [sample[name] for sample in samples[settled:]]
        assert max(one[0] for one in later) <= growth * mb, f"{name} grows\n" + "\n".join(table)
        assert later[-1][1] <= files + (0 if REQUESTS >= LONG else 2), "\n".join(table)
    assert "Traceback" not in running.log
