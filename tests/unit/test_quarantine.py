"""service/quarantine.py: which images are refused, and for how long."""

from dataclasses import dataclass

import pytest

from service.quarantine import MOST, STRIKES, Quarantine


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_image_that_crashed_a_process_is_refused_for_its_time(clock: Clock) -> None:
    quarantine = Quarantine(60, clock)
    assert quarantine.refusal(b"bad") is None
    assert quarantine.lost(b"bad", crashed=True)
    problem = quarantine.refusal(b"bad")
    assert problem is not None and problem.code == "image_quarantined" and "60 s" in problem.detail
    assert quarantine.refusal(b"good") is None
    clock.now += 59
    assert quarantine.refusal(b"bad") is not None
    clock.now += 2
    assert quarantine.refusal(b"bad") is None


def test_a_process_ended_from_outside_is_laid_to_its_image_only_when_it_happens_again(
    clock: Clock,
) -> None:
    quarantine = Quarantine(60, clock)
    told = [quarantine.lost(b"unlucky", crashed=False) for _ in range(STRIKES)]
    assert told == [False] * (STRIKES - 1) + [True]
    assert quarantine.refusal(b"unlucky") is not None


def test_an_answer_between_two_losses_clears_the_image(clock: Clock) -> None:
    quarantine = Quarantine(60, clock)
    for _ in range(3 * STRIKES):
        assert not quarantine.lost(b"unlucky", crashed=False)
        quarantine.answered(b"unlucky")
    assert quarantine.refusal(b"unlucky") is None


def test_losses_long_apart_do_not_add_up(clock: Clock) -> None:
    quarantine = Quarantine(60, clock)
    for _ in range(3 * STRIKES):
        assert not quarantine.lost(b"unlucky", crashed=False)
        clock.now += 61


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    quarantine = Quarantine(60, clock)
    for number in range(MOST + 5):
        quarantine.lost(str(number).encode(), crashed=True)
    assert [quarantine.refusal(str(number).encode()) is None for number in (0, 4, 5, MOST)] == [
        True,
        True,
        False,
        False,
    ]


def test_it_can_be_switched_off(clock: Clock) -> None:
    quarantine = Quarantine(0, clock)
    assert not quarantine.lost(b"bad", crashed=True)
    assert quarantine.refusal(b"bad") is None


def test_once_every_time_is_over_images_cost_no_digest_any_more(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests: list[bytes] = []
    plain = Quarantine._digest
    monkeypatch.setattr(
        Quarantine, "_digest", lambda self, image: digests.append(image) or plain(self, image)
    )
    quarantine = Quarantine(60, clock)
    quarantine.lost(b"first", crashed=True)
    quarantine.lost(b"second", crashed=False)
    clock.now += 40
    quarantine.lost(b"second", crashed=False)  # its time begins anew
    clock.now += 30
    digests.clear()
    assert quarantine.refusal(b"first") is None
    quarantine.answered(b"other")
    assert digests == [b"first", b"other"], "one is still remembered"
    assert not quarantine.lost(b"third", crashed=False)
    clock.now += 60
    digests.clear()
    assert quarantine.refusal(b"second") is None
    quarantine.answered(b"other")
    assert digests == []
