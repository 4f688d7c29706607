"""Three times as many requests as the service can answer."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from statistics import median, quantiles

import requests

from tests.amount import amount
from tests.chaos.conftest import of_kind, readiness
from tests.chaos.load import Answer, Load, ask, connect, known_answers
from tests.conftest import Running, predictors
from tests.contract.test_gateway_process import resident_mb

DEADLINE_S = 10.0
TIMES = 3
RECOVERED_WITHIN_S = 2.0
GROWTH_MB = 48


def test_the_rest_is_refused_at_once_and_the_accepted_are_answered_at_full_speed(
    start: Callable[..., Running], pictures: list[bytes], figure: Callable[[str], None]
) -> None:
    running = start(predictors=2, deadline_s=DEADLINE_S)
    known = known_answers(running.url, pictures)
    calm_s, capacity = calm_and_capacity(running.url, pictures)
    gateway = of_kind(running, "gunicorn")[-1]
    before_mb = resident_mb(gateway)
    most_mb, untrue = before_mb, 0

    seconds = amount(3, 30)
    with ThreadPoolExecutor(400) as clients:
        began = time.monotonic()
        sent = []
        while (passed := time.monotonic() - began) < seconds:
            while len(sent) < passed * capacity * TIMES:
                picture = len(sent) % len(pictures)
                sent.append(clients.submit(once, running.url, picture, pictures[picture]))
            if len(sent) % 50 == 0:
                most_mb = max(most_mb, resident_mb(gateway))
                untrue += readiness(running.url)["status"] != 200
            time.sleep(0.005)
        ended = time.monotonic()
        recovered_s = seconds_to_calm(running.url, pictures[0], calm_s, ended)
        answers = [one.result() for one in sent]
    good = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status != 200]
    took = max(answer.began + answer.seconds for answer in good) - began
    speed = len(good) / took
    p99_s = quantiles((answer.seconds for answer in good), n=100)[98]
    refusal_s = median(answer.seconds for answer in refused)
    figure(
        f"overload: capacity {capacity:.0f}/s, offered {len(answers) / seconds:.0f}/s for "
        f"{seconds} s: {len(good)} answered at {speed:.0f}/s, p99 {p99_s:.2f} s; {len(refused)} "
        f"refused, median {refusal_s * 1e3:.0f} ms; gateway {before_mb:.0f} to {most_mb:.0f} MB; "
        f"calm again after {recovered_s:.1f} s"
    )
    assert all(answer.body["results"] == known[answer.picture] for answer in good)
    for answer in refused:
        assert answer.kind == "503 overloaded" and int(answer.retry_after or 0) >= 1, answer
    assert len(refused) > len(answers) / 4
    # The clients share the cores with the service: it cannot have all of its speed here.
    assert speed > 0.5 * capacity
    assert p99_s < DEADLINE_S / 2
    assert refusal_s < p99_s / 2
    assert most_mb - before_mb < GROWTH_MB
    assert untrue == 0, "/readyz is answered under overload"
    assert recovered_s < RECOVERED_WITHIN_S
    assert "Traceback" not in running.log


def test_probes_are_answered_while_every_thread_is_held_up(
    start: Callable[..., Running], pictures: list[bytes]
) -> None:
    """One request more each time, until all threads have one and more wait for a thread."""
    running = start(predictors=1, gateway_threads=4, predictor_stuck_s=60)
    (predictor,) = predictors(of_kind(running, "infer.py")[0])
    os.kill(predictor, signal.SIGSTOP)
    with ThreadPoolExecutor(8) as asking, closing(connect(running.url)) as kept:
        asked = []
        for _ in range(6):
            asked.append(asking.submit(once, running.url, 0, pictures[0]))
            time.sleep(0.1)
            for path in ("/livez", "/readyz", "/metrics"):
                began = time.monotonic()
                kept.request("GET", path)  # over one connection, which keeps no thread to itself
                answer = kept.getresponse()
                assert answer.status == 200 and answer.read(), path
                assert requests.get(running.url + path, timeout=30).status_code == 200, path
                assert time.monotonic() - began < 1.0, f"{path} with {len(asked)} requests"
        kept.request("POST", "/classify", pictures[0], {"Content-Type": "image/jpeg"})
        time.sleep(0.1)
        began = time.monotonic()  # no spare thread was taken for that
        for _ in range(3):
            assert requests.get(f"{running.url}/livez", timeout=30).status_code == 200
        assert time.monotonic() - began < 1.0
        os.kill(predictor, signal.SIGCONT)
        assert kept.getresponse().status == 200
        assert {one.result().status for one in asked} == {200}


def once(url: str, picture: int, image: bytes) -> Answer:
    with closing(connect(url)) as connection:
        return ask(connection, picture, image)


def calm_and_capacity(url: str, pictures: list[bytes]) -> tuple[float, float]:
    """Median seconds of a lone request, and the most answers a second."""
    calm_s = median(once(url, 0, pictures[0]).seconds for _ in range(20))
    with Load(url, pictures, clients=8) as load:
        time.sleep(3)
        count = len(load.answers)
    return calm_s, count / 3


def seconds_to_calm(url: str, image: bytes, calm_s: float, since: float) -> float:
    """When the first request is answered as fast as on a calm day (twice its time at most)."""
    while time.monotonic() - since < 10:
        answer = once(url, 0, image)
        if answer.status == 200 and answer.seconds < 2 * calm_s + 0.05:
            return answer.began - since
        time.sleep(0.05)
    return 10.0
