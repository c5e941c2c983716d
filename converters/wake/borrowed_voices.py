"""A synthetic word said again with the sounds of a real person.

Training on synthetic voices alone makes a model that misses people: their timbre, microphones
and rooms never occurred. Whoever has talked for a minute about anything else has made most of the
sounds of the word, so for every hop of the synthetic word a hop of that person is taken: of the
same phone, of a similar spectrum, and where possible the one that followed the last in the
recording, so that stretches of real speech result. This is unit selection (Hunt and Black 1996)
whose units are hops, as in kNN-VC (Baas et al. 2023), but on log-mel features, where nothing has
to be made audible again.

Hop t of the result stands for hop t of the word, so its bounds and phones stay what they were.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from converters.synthesis.phones import PHONES, UNKNOWN
from converters.wake.mixing import NEPERS_PER_DB, Hops, as_float

Labels = NDArray[np.int8]
Indices = NDArray[np.intp]

FEWEST_SPEECH_HOPS = 150
FEWEST_PHONES = 12
"""With fewer sounds than these, most of a word would be said with the wrong ones."""

_COEFFICIENTS = 13
"""Of the cosine transform over the bands: the level, and the shape without the pitch."""
_DEEPEST = 8.0
"""Nepers below a band's mean in speech; what is lower is a pause, however deep."""
_CANDIDATES = 40

# Costs are squared distances; two hops of the donor's speech have 1 between them on average.
_OTHER_PHONE = 1.0
_UNSURE_PHONE = 0.3
"""Costs of a hop of another phone, and of one whose phone nobody knows."""
_JOIN = 0.5
"""Cost of going on elsewhere in the recordings, to which the jump in the spectrum is added."""
_SKIP = 0.2
"""Cost of leaving a hop out. None is said twice in a row: nobody's sounds stand still."""
_HANDICAP = 0.03
"""Mean of what is added at random to each sound of the donor, so that each saying differs."""

_LARGEST_GAIN = float(6.0 * NEPERS_PER_DB)
_QUIETEST = 0.05
"""Share of the hops that passes for pauses where there are none."""


class Donor:
    """A real person's sounds, ready to be borrowed.

    Args:
        hops: log-mel of everything the person says, float [n, 64].
        phones: index into `PHONES` of what is sounded at each hop, int8 [n]; 0 in pauses, `UNKNOWN`
            where nobody knows.
        joins: first hops of all recordings but the first, where several are strung together.

    Raises:
        ValueError: the person says too little, or too few different phones.
    """

    def __init__(
        self, hops: NDArray[np.floating], phones: Labels, joins: Sequence[int] = ()
    ) -> None:
        known = phones > 0
        different = np.unique(phones[known])
        if known.sum() < FEWEST_SPEECH_HOPS or len(different) < FEWEST_PHONES:
            raise ValueError(
                f"a donor has to say {FEWEST_SPEECH_HOPS} hops of speech and {FEWEST_PHONES} "
                f"different phones, not {known.sum()} and {len(different)}; "
                "add recordings of this person or leave the person out"
            )
        hops = as_float(hops)
        self._mean = hops[known].mean(axis=0)
        self._means = np.tile(self._mean, (len(PHONES), 1))
        for phone in different:
            self._means[phone] = hops[phones == phone].mean(axis=0)
        shape = _shape(hops - self._mean)
        self._unit = np.sqrt(2.0 * shape[known].var(axis=0).sum())
        shape /= self._unit
        level = hops.mean(axis=1)
        pauses = phones == 0 if np.any(phones == 0) else level <= np.quantile(level, _QUIETEST)
        self.pauses: Hops = hops[pauses]
        """What is heard of the person's room when nothing is said, [pauses, 64]."""
        chosen = np.flatnonzero(phones != 0)
        # All below has one row for each hop that may be borrowed.
        self.hops: Hops = hops[chosen]
        self.phones: Labels = phones[chosen]
        self.shape: Hops = shape[chosen]
        """What hops are compared by, [speech, 13]."""
        self.expected: Hops = shape[np.minimum(chosen + 1, len(shape) - 1)]
        """Shape of the next hop: what a hop that is joined on should look like."""
        recording = np.searchsorted(np.asarray(joins, np.intp), chosen, side="right")
        self.place: Indices = chosen + 10 * recording
        """Consecutive hops differ by 1; those of different recordings by far more."""
        changes = (np.diff(self.phones) != 0) | (np.diff(self.place) != 1)
        self.sound: Indices = np.concatenate(([0], np.cumsum(changes)))
        """Number of the sound that a hop is part of: a phone, said once."""

    def says(self, phones: Labels) -> float:
        """Share of the sounds of a word, phones int8 [m], that the donor's speech has.

        The rest would be replaced by others: the further below 1, the less it is that word.
        """
        missing = ~np.isin(phones[phones > 0], self.phones)
        return 1.0 - float(missing.sum()) / max(len(missing), 1)

    def heard(self, hops: Hops, phones: Labels) -> tuple[Hops, Hops]:
        """A word without what its voice and its microphone differ by from the donor's.

        That constant is found by comparing like with like, each hop with the donor's mean of its
        phone: the few phones of a word do not have the mean of all speech. Returns the word,
        float32 [m, 64], and what to compare with `shape`, [m, 13].
        """
        known = phones > 0
        if np.any(known):
            hops = hops - (hops[known] - self._means[phones[known]]).mean(axis=0)
        return hops, _shape(hops - self._mean) / self._unit


def _shape(hops: Hops) -> Hops:
    """Level and coarse shape of the spectrum: [n, 64] -> [n, 13]."""
    every = dct(np.maximum(hops, -_DEEPEST), norm="ortho")
    return np.asarray(every[:, :_COEFFICIENTS], np.float32)


def said_by(
    donor: Donor, hops: NDArray[np.floating], phones: Labels, rng: np.random.Generator
) -> Hops:
    """The word as the donor might say it.

    Args:
        donor: whose sounds are used.
        hops: log-mel of the word and what is around it, float [m, 64].
        phones: what is sounded at each of its hops, int8 [m].
        rng: makes the same word different each time.

    Returns:
        float32 [m, 64] at the level of the donor's recordings: hops of the donor, in which each
        stretch is at most 6 dB louder or softer than it was.
    """
    first = int(rng.integers(len(donor.pauses)))
    result = np.take(donor.pauses, first + np.arange(len(hops)), axis=0, mode="wrap")
    speech = np.flatnonzero(phones != 0)
    if len(speech) == 0:
        return result
    word, shape = donor.heard(as_float(hops), phones)
    rows = _cheapest(donor, *_candidates(donor, shape[speech], phones[speech], rng))
    result[speech] = donor.hops[rows] + _gains(donor, word[speech], rows)[:, None]
    return result


def _candidates(
    donor: Donor, shape: Hops, phones: Labels, rng: np.random.Generator
) -> tuple[Indices, Hops]:
    """The best rows of the donor for each hop, and what each costs: [m, K] and [m, K]."""
    handicap = rng.exponential(_HANDICAP, donor.sound[-1] + 1)[donor.sound]
    # Squared distances, less the square of the word's hop, which is the same for all candidates.
    cost = shape @ (-2.0 * donor.shape.T)
    cost += (np.square(donor.shape).sum(axis=1) + handicap).astype(np.float32)
    different = np.where(donor.phones == UNKNOWN, _UNSURE_PHONE, _OTHER_PHONE).astype(np.float32)
    for phone in np.unique(phones[phones != UNKNOWN]):
        cost[phones == phone] += np.where(donor.phones == phone, np.float32(0.0), different)
    best = np.argpartition(cost, min(_CANDIDATES, cost.shape[1] - 1), axis=1)[:, :_CANDIDATES]
    return best, np.take_along_axis(cost, best, axis=1)


def _cheapest(donor: Donor, rows: Indices, costs: Hops) -> Indices:
    """The sequence of candidates with the least sum of costs (Viterbi): [m, K] -> [m]."""
    before, after = donor.expected[rows[:-1]], donor.shape[rows[1:]]
    jump = _JOIN - 2.0 * (before @ after.transpose(0, 2, 1))
    jump += np.square(before).sum(axis=2)[:, :, None] + np.square(after).sum(axis=2)[:, None, :]
    place = donor.place[rows]
    step = place[1:, None, :] - place[:-1, :, None]
    jump[step == 0] = np.inf
    jump[step == 2] = _SKIP
    jump[step == 1] = 0.0

    sums = costs[0]
    back = np.empty((len(jump), rows.shape[1]), np.intp)
    for hop, moved in enumerate(jump):
        reached = sums[:, None] + moved
        back[hop] = reached.argmin(axis=0)
        sums = reached.min(axis=0) + costs[hop + 1]
    path = [int(sums.argmin())]
    for origin in back[::-1]:
        path.append(int(origin[path[-1]]))
    return rows[np.arange(len(rows)), path[::-1]]


def _gains(donor: Donor, word: Hops, rows: Indices) -> NDArray[np.float32]:
    """How much louder each stretch has to be to follow the word, within bounds: float32 [m]."""
    step = np.diff(donor.place[rows])
    stretch = np.concatenate(([0], np.cumsum((step < 1) | (step > 2))))
    louder = word.mean(axis=1) - donor.hops[rows].mean(axis=1)
    gain = np.bincount(stretch, louder) / np.bincount(stretch)
    return np.clip(gain, -_LARGEST_GAIN, _LARGEST_GAIN)[stretch].astype(np.float32)
