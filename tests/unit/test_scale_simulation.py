"""The simulation of docs/SCALE.md against formulas that are proved; what it refuses and repeats.

Only work costs something here, so that a machine is the textbook's queue: one core and one
predictor are one server, and a gateway with threads enough adds nothing.
"""

import math
from dataclasses import replace
from statistics import fmean

import pytest

from bench import load
from bench.scale.fleet import balanced
from bench.scale.machine import Costs, Shape
from bench.scale.simulation import Told, closed, in_turns, opened
from bench.scale.spike import Rise, rise
from tests.amount import SOAK, amount

MS = 10.0
REQUESTS = amount(6_000, 200_000)
NEAR = 0.02 if SOAK else 0.07
"""What so many requests may be off by chance; the seeds are the same in every run."""
EXPONENTIAL = tuple(-MS * math.log(1 - (n + 0.5) / 4_000) for n in range(4_000))
FIXED = (MS, MS)
SERVICE = Costs(
    work=((12.0, 13.0, 15.0),), predictor_ms=0.5, gateway_ms=2.0, refusal_ms=0.5, worker_ms=1.0
)
"""Costs as the service has them, about."""


def queue(work: tuple[float, ...], servers: int, load_: float, **shape: float) -> Told:
    """A queue before so many servers, each a predictor on a core of its own."""
    free = {"threads": 10**6, "queue": 10**6, "deadline_ms": 1e12} | shape
    rate = load_ * servers * 1e3 / MS
    return opened(
        Costs((work,)),
        Shape(cores=servers, predictors=servers, **free),  # type: ignore[arg-type]
        load.arrivals(rate, REQUESTS / rate, seed=1),
    )


def waits_for(servers: int, load_: float) -> float:
    """Erlang's C: the share of requests that wait in an M/M/c queue."""
    offered = servers * load_
    terms = [offered**n / math.factorial(n) for n in range(servers)]
    last = offered**servers / math.factorial(servers) / (1 - load_)
    return last / (sum(terms) + last)


@pytest.mark.parametrize("load_", [0.3, 0.5])
def test_exponential_work_at_one_server_takes_as_long_as_in_an_mm1_queue(load_: float) -> None:
    told = queue(EXPONENTIAL, 1, load_)

    assert told.mean_ms == pytest.approx(MS / (1 - load_), rel=NEAR)
    assert told.busy == pytest.approx(load_, rel=NEAR)
    # The time in an M/M/1 queue is exponential: its 99th percentile is known, too.
    assert told.percentile(99) == pytest.approx(-math.log(0.01) * MS / (1 - load_), rel=3 * NEAR)


@pytest.mark.parametrize(("servers", "load_"), [(2, 0.6), (4, 0.7)])
def test_several_servers_make_wait_as_erlang_says(servers: int, load_: float) -> None:
    told = queue(EXPONENTIAL, servers, load_)

    wait = waits_for(servers, load_) * MS / (servers * (1 - load_))
    assert told.queue_ms == pytest.approx(wait, rel=3 * NEAR)
    assert told.mean_ms == pytest.approx(MS + wait, rel=NEAR)


def test_work_that_is_always_the_same_waits_half_as_long() -> None:
    told = queue(FIXED, 1, 0.6)

    assert told.queue_ms == pytest.approx(0.6 * MS / (2 * (1 - 0.6)), rel=2 * NEAR)


@pytest.mark.parametrize("work", [FIXED, EXPONENTIAL], ids=["fixed", "exponential"])
def test_on_a_shared_core_only_the_mean_of_the_work_counts(work: tuple[float, ...]) -> None:
    """M/G/1 with processor sharing: s / (1 - load), whatever the distribution."""
    times = load.arrivals(50.0, REQUESTS / 50.0, seed=1)
    told = opened(Costs((work,)), Shape(1, predictors=10**6, threads=10**6), times)

    assert told.mean_ms == pytest.approx(MS / (1 - 0.5), rel=NEAR)


def test_a_bounded_queue_refuses_the_share_that_the_formula_says() -> None:
    told = queue(EXPONENTIAL, 1, 0.9, queue=4)

    places = 5  # four that wait and the one that is served
    expected = (1 - 0.9) * 0.9**places / (1 - 0.9 ** (places + 1))
    assert told.refused / told.offered == pytest.approx(expected, rel=2 * NEAR)


def test_what_waits_beyond_the_deadline_is_told_so() -> None:
    told = queue(FIXED, 1, 1.5, deadline_ms=200.0)

    assert told.late > 0
    assert told.refused == 0
    assert told.queue_ms <= 200.0


def test_the_gateway_refuses_what_it_cannot_answer_and_answers_the_rest() -> None:
    capacity = closed(SERVICE, Shape(), 16, 5.0)[0].rate
    told = opened(SERVICE, Shape(), load.arrivals(2 * capacity, 10.0))

    assert told.refused / told.offered == pytest.approx(0.5, abs=0.08)
    assert told.rate > 0.85 * capacity
    assert told.percentile(99) < 1_500


def test_images_of_a_request_are_answered_together() -> None:
    times = [float(n) for n in range(20)]
    one = opened(SERVICE, Shape(), times)
    four = opened(SERVICE, Shape(), times, images=4)

    assert len(four.latencies_ms) == 20
    assert 1.5 < four.mean_ms / one.mean_ms < 4  # on two cores


@pytest.mark.parametrize(
    ("most", "clients", "together"),
    [(1, 16, 1), (8, 2, 1), (8, 16, 8), (4, 16, 4), (8, 8, 4)],
    ids=["one by one", "none waits", "all that may", "no more", "a power of two"],
)
def test_company_in_a_predictor_saves_what_is_shared(
    most: int, clients: int, together: int
) -> None:
    shared = Costs((FIXED,), shared_ms=2.0)
    told = closed(shared, Shape(1, predictors=1, company=most), clients, 5.0)[0]

    alone_ms = MS * together - 2.0 * (together - 1)
    assert told.rate == pytest.approx(together * 1e3 / alone_ms, rel=0.05)


def test_company_that_saves_nothing_is_not_sought() -> None:
    told, more = (
        closed(Costs((FIXED,)), Shape(1, predictors=1, company=most), 16, 5.0)[0] for most in (1, 8)
    )

    assert told.latencies_ms == more.latencies_ms


def test_a_predictor_takes_its_share_of_what_waits_and_no_more() -> None:
    costs = Costs((FIXED,), shared_ms=2.0)
    told = opened(costs, Shape(2, predictors=2), [0.0] * 10)

    # Eight wait when the first two are done: four for the first of two; the others one by one.
    assert told.latencies_ms == pytest.approx([10, 10, 20, 30, 40, *[44] * 4, 50])


def test_the_same_seed_gives_the_same_and_another_gives_another() -> None:
    times = load.arrivals(80.0, 3.0)
    first, again, other = (opened(SERVICE, Shape(), times, seed) for seed in (1, 1, 2))

    assert first.latencies_ms == again.latencies_ms
    assert first.latencies_ms != other.latencies_ms


def test_turns_are_told_as_one_load() -> None:
    times = load.arrivals(80.0, 3.0)
    slow = replace(SERVICE, together=0.8)
    whole = in_turns([SERVICE, slow], Shape(), [times, times])
    parts = [opened(SERVICE, Shape(), times, 0), opened(slow, Shape(), times, 1)]

    assert whole.latencies_ms == [*parts[0].latencies_ms, *parts[1].latencies_ms]
    assert whole.rate == pytest.approx(sum(p.rate * p.seconds for p in parts) / whole.seconds)
    assert whole.queue_ms == pytest.approx(sum(part.queue_ms for part in parts) / 2)
    assert parts[1].mean_ms > parts[0].mean_ms


def test_two_choices_are_nearly_as_good_as_all_and_better_than_chance() -> None:
    capacity = closed(SERVICE, Shape(), 16, 5.0)[0].rate
    tails = {
        policy: balanced(SERVICE, Shape(), 8, 8 * 0.8 * capacity, 3.0, policy).percentile(99)  # type: ignore[arg-type]
        for policy in ("random", "two choices", "least")
    }

    assert tails["least"] <= tails["two choices"] < 0.7 * tails["random"]


@pytest.mark.parametrize(
    ("factor", "most", "more"),
    [(1.0, 10, False), (4.0, 10, True), (4.0, 2, False)],
    ids=["calm", "rise", "no more allowed"],
)
def test_a_rise_brings_machines_as_far_as_they_are_allowed(
    factor: float, most: int, more: bool
) -> None:
    slow = replace(SERVICE, work=((60.0, 70.0),))
    asked = Rise(20.0, factor, 2, most, 5.0, before_s=5.0, after_s=50.0, target_s=0.1)
    found = rise(slow, Shape(), asked)

    assert found["machines_then"] <= most
    assert (found["machines_then"] > 2) == more


def test_the_mean_of_a_row_of_quantiles_is_the_mean_of_the_work() -> None:
    assert fmean(EXPONENTIAL) == pytest.approx(MS, rel=0.002)
