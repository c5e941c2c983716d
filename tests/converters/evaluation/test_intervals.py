from __future__ import annotations

import math

import pytest

from converters.evaluation.intervals import rate, share


def test_no_miss_in_n_has_the_closed_form_upper_end():
    # P(0 of n | p) = (1-p)^n = 0.025  =>  p = 1 - 0.025^(1/n)
    found = share(0, 85)
    assert found.low == 0.0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 85))


def test_all_missed_mirrors_none_missed():
    assert share(20, 20).low == pytest.approx(1 - share(0, 20).high)
    assert share(20, 20).high == 1.0


def test_one_of_two_by_hand():
    # low: P(>=1 of 2 | p) = 1-(1-p)^2 = 0.025; high by symmetry
    low = 1 - math.sqrt(1 - 0.025)
    found = share(1, 2)
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((low, 1 - low))


def test_published_interval_of_the_wake_word_figures():
    # 10 % of n = 329 is 7.0-13.8 % by the exact method
    found = share(33, 329)
    assert (round(100 * found.low, 1), round(100 * found.high, 1)) == (7.0, 13.8)


def test_no_event_in_six_hours_allows_up_to_sixty_one_hundredths_an_hour():
    # exp(-6 r) = 0.025  =>  r = 3.689 / 6
    found = rate(0, 6.0)
    assert found.low == 0.0
    assert found.high == pytest.approx(-math.log(0.025) / 6)


def test_two_events_in_a_day():
    found = rate(2, 24.0)
    assert found.value == pytest.approx(2 / 24)
    assert (round(found.low, 3), round(found.high, 2)) == (0.010, 0.30)


def test_no_time_says_nothing():
    assert rate(0, 0.0).high == math.inf
    assert rate(0, 0.0).value == 0.0
    assert share(0, 0).value == 0.0


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_impossible_shares_are_refused(k, n):
    with pytest.raises(ValueError, match="is not a share"):
        share(k, n)


def test_impossible_rates_are_refused():
    with pytest.raises(ValueError, match="is not a rate"):
        rate(1, -1.0)


def test_both_print_counts_and_intervals():
    assert str(share(3, 85)).startswith("3 of 85, 3.5 % (0.7-")
    assert str(rate(1, 2.0)).startswith("1 in 2.00 h, 0.50/h (0.01-")
