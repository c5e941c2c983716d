from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.update.schedule import Schedule

HOUR = 3600.0


def _schedule(draw: float = 0.5, every_s: float = HOUR) -> Schedule:
    return Schedule(every_s, 100.0, lambda: draw)


def test_the_first_check_comes_within_a_minute_at_a_random_moment() -> None:
    assert _schedule(0.0).due(100.0)
    half = _schedule(0.5)
    assert not half.due(129.9)
    assert half.due(130.0)
    assert not _schedule(1.0).due(159.9)


def test_the_next_check_comes_after_the_pause_and_a_random_part_of_it() -> None:
    for draw, pause in ((0.0, HOUR), (1.0, 1.1 * HOUR)):
        schedule = _schedule(draw)
        schedule.started()
        assert not schedule.due(1e9)
        schedule.ended(1000.0, unfinished=False)
        assert not schedule.due(1000.0 + pause - 1)
        assert schedule.due(1000.0 + pause)


def test_what_is_unfinished_is_tried_sooner_and_ever_more_seldom() -> None:
    schedule = _schedule(0.0)
    now, pauses = 0.0, []
    for _ in range(9):
        schedule.started()
        schedule.ended(now, unfinished=True)
        pauses.append(next(s for s in range(4000) if schedule.due(now + s)))
        now += pauses[-1]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    schedule.ended(now, unfinished=False)
    schedule.ended(now, unfinished=True)
    assert schedule.due(now + 60)


def test_asking_is_granted_once_a_minute() -> None:
    schedule = _schedule(1.0)
    assert schedule.ask(100.0) == 0.0
    assert schedule.due(100.0)
    schedule.started()
    schedule.ended(101.0, unfinished=False)
    assert schedule.ask(110.0) == 50.0
    assert not schedule.due(110.0)
    assert schedule.ask(160.0) == 0.0
    assert schedule.due(160.0)


@given(st.lists(st.floats(0.0, 600.0), max_size=50))
def test_nobody_can_ask_for_more_than_a_check_a_minute(pauses: list[float]) -> None:
    schedule = _schedule(1.0)
    now, granted = 100.0, []
    for pause in pauses:
        now += pause
        if schedule.ask(now) == 0.0:
            granted.append(now)
    assert all(b - a >= 60.0 for a, b in itertools.pairwise(granted))


def test_what_must_be_settled_is_done_at_once_but_not_again_and_again() -> None:
    schedule = _schedule(1.0)
    assert schedule.urge(105.0)
    assert schedule.due(105.0)
    urged = [now for now in range(106, 106 + 20_000) if schedule.urge(float(now))]
    assert [b - a for a, b in itertools.pairwise(urged)][:4] == [20, 40, 80, 160]
    assert max(b - a for a, b in itertools.pairwise(urged)) <= HOUR
    schedule.calm()
    last = urged[-1] + 2 * HOUR
    assert schedule.urge(last)
    assert schedule.urge(last + 10.0)
