from __future__ import annotations

from agent.mqtt.patience import Patience


def test_long_connections_are_tried_again_at_once() -> None:
    patience = Patience(1.0, 60.0)
    for start in (0.0, 100.0, 200.0):
        patience.connected(start)
        assert patience.disconnected(start + 10.0) == 1.0
        assert not patience.just_became_suspicious


def test_short_ones_in_a_row_are_tried_ever_more_rarely() -> None:
    patience = Patience(1.0, 60.0)
    pauses, told = [], []
    for start in range(0, 200, 20):
        patience.connected(start)
        pauses.append(patience.disconnected(start + 0.1))
        told.append(patience.just_became_suspicious)
    assert pauses == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert told == [False, False, True] + [False] * 7


def test_a_long_one_forgives() -> None:
    patience = Patience(1.0, 60.0)
    for _ in range(5):
        patience.connected(0.0)
        patience.disconnected(1.0)
    patience.connected(0.0)
    assert patience.disconnected(11.0) == 1.0


def test_years_of_short_ones_do_not_overflow() -> None:
    patience = Patience(1.0, 60.0)
    for _ in range(5000):
        patience.connected(0.0)
        assert patience.disconnected(1.0) <= 60.0
