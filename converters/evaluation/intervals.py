"""Exact intervals for counts: what k of n, or k events in some hours, allow to be claimed."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import beta, chi2


@dataclass(frozen=True)
class Share:
    """k of n with its Clopper-Pearson interval."""

    k: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """k / n, or 0 where n is 0."""
        return self.k / self.n if self.n else 0.0

    def __str__(self) -> str:
        """As in "3 of 85, 3.5 % (0.7-10.0)"."""
        if self.n == 0:
            return "0 of 0"
        shares = (100 * self.value, 100 * self.low, 100 * self.high)
        return f"{self.k} of {self.n}, {shares[0]:.1f} % ({shares[1]:.1f}-{shares[2]:.1f})"


@dataclass(frozen=True)
class Rate:
    """Events in a time with their exact Poisson (Garwood) interval, per hour."""

    events: int
    hours: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """Events per hour, or 0 where there was no time."""
        return self.events / self.hours if self.hours > 0 else 0.0

    def __str__(self) -> str:
        """As in "1 in 2.40 h, 0.42/h (0.01-2.32)"."""
        return (
            f"{self.events} in {self.hours:.2f} h, {self.value:.2f}/h"
            f" ({self.low:.2f}-{self.high:.2f})"
        )


def share(k: int, n: int, confidence: float = 0.95) -> Share:
    """Clopper-Pearson interval (1934) of a share.

    Raises:
        ValueError: k is not in 0..n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a share")
    tail = (1.0 - confidence) / 2
    low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(1.0 - tail, k + 1, n - k))
    return Share(k, n, low, high)


def rate(events: int, hours: float, confidence: float = 0.95) -> Rate:
    """Exact interval (Garwood 1936) of a rate of independent events.

    Raises:
        ValueError: a negative count or time.
    """
    if events < 0 or hours < 0:
        raise ValueError(f"{events} events in {hours} hours is not a rate")
    if hours == 0:
        return Rate(events, hours, 0.0, float("inf"))
    tail = (1.0 - confidence) / 2
    low = 0.0 if events == 0 else float(chi2.ppf(tail, 2 * events)) / 2 / hours
    high = float(chi2.ppf(1.0 - tail, 2 * events + 2)) / 2 / hours
    return Rate(events, hours, low, high)
