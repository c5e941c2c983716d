from __future__ import annotations

from agent.update.pace import Pace


class _Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


def test_a_stream_is_no_faster_than_its_limit() -> None:
    time = _Time()
    pace = Pace(1000, clock=lambda: time.now, sleep=time.sleep)
    for _ in range(10):
        time.now += 0.1  # a part arrives
        pace.spend(500)
    assert time.now >= 100.0 + 5.0
    # The time in which parts arrive is not saved up, so it comes on top.
    assert time.now < 100.0 + 5.0 + 10 * 0.1 + 0.01


def test_a_pause_is_not_followed_by_a_burst() -> None:
    time = _Time()
    pace = Pace(1000, clock=lambda: time.now, sleep=time.sleep)
    pace.spend(100)
    time.now += 60.0
    pace.spend(1000)
    assert time.slept == [0.1, 1.0]


def test_without_a_limit_nobody_waits() -> None:
    time = _Time()
    Pace(0, clock=lambda: time.now, sleep=time.sleep).spend(1 << 30)
    assert time.slept == []
