"""What label comes next, from the labels before: a backing-off n-gram model of characters.

The predictor of the transducer sees two labels. This model sees more, and tells how much more (or
less) likely a label becomes by seeing them:

    gain(c | history) = log p(c | last n - 1 labels) - log p(c | last two labels)

Added to the transducer's own score while decoding, it takes the place of a predictor with a longer
memory: what the network has learnt about two labels is divided out instead of counted twice (the
density ratio of McDermott et al. 2019, arXiv:2002.11268, with the predictor's context as source).

In the file, every n-gram is one integer of five bits per label, oldest first, sorted by order and
value, so that all continuations of a history lie side by side.
"""

from __future__ import annotations

import io
import zipfile
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from agent.errors import BundleFileError

BITS = 5
"""Per label: up to 31 labels, and one for the end."""
LABELS = 1 << BITS
END = LABELS - 1
"""Stands after the last label of an utterance."""
STEP_NATS = 1.0 / 16.0
"""Resolution of stored log-probabilities."""
_NATS = -np.arange(256, dtype=np.float32) * np.float32(STEP_NATS)
"""What a byte says about a log-probability."""
_BACKOFF_NATS = (128.0 - np.arange(256, dtype=np.float32)) * np.float32(STEP_NATS)
"""What it says about a back-off weight, which may exceed one."""
LONGEST = 12
"""Labels in the longest n-gram that fits into 64 bits."""
SHORT = 3
"""Order that the transducer's own predictor covers: a label and the two before."""
_KEY = np.uint64((1 << (BITS * LONGEST)) - 1)
_LABEL = np.uint64(LABELS - 1)
_NUMBERS = np.arange(LONGEST)
_MOST_NGRAMS = 4_000_000
_CACHED = 8192

Floats = NDArray[np.float32]


class LanguageModel:
    """Gains of labels, looked up by history.

    A history is an integer: the last labels, five bits each, the newest lowest; 0 at the start of
    an utterance, where the blank (label 0) stands for what has not been said.

    Args:
        content: bytes of the file, from wherever.
        name: of the file, for messages.

    Raises:
        BundleFileError: the file is damaged.
    """

    def __init__(self, content: bytes, name: str = "language model") -> None:
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                counts = arrays["counts"].astype(np.int64)
                steps, log_probs = arrays["steps"], arrays["log_probs"]
                backoffs = arrays["backoffs"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise BundleFileError(f"{name} is damaged; restore the bundle.") from error
        total = int(counts.sum()) if counts.ndim == 1 else -1
        fits = (
            counts.ndim == 1
            and SHORT <= len(counts) <= LONGEST
            and bool((counts > 0).all())
            and total <= _MOST_NGRAMS
            and all(a.shape == (total,) for a in (steps, log_probs, backoffs))
            and steps.dtype == np.uint64
            and log_probs.dtype == backoffs.dtype == np.uint8
        )
        if not fits:
            raise BundleFileError(f"{name} is damaged; restore the bundle.")
        self.end = END
        self.order = len(counts)
        # All n-grams in one sorted array, the order in the four highest of 64 bits: one search
        # finds the contexts of all lengths. Bytes stay bytes: 14 bytes for an n-gram.
        tags = np.arange(1, self.order + 1, dtype=np.uint64) << np.uint64(BITS * LONGEST)
        ends = np.cumsum(counts).tolist()
        orders = [slice(end - count, end) for end, count in zip(ends, counts.tolist(), strict=True)]
        self._keys = steps
        for n, (tag, order) in enumerate(zip(tags, orders, strict=True), 1):
            keys = np.cumsum(steps[order], out=steps[order])
            if keys[-1] >> np.uint64(BITS * n) or not (keys[1:] > keys[:-1]).all():
                raise BundleFileError(f"{name} is damaged; restore the bundle.")
            keys |= tag
        self._log_probs, self._backoffs = log_probs, backoffs
        self._single = int(counts[0])
        # Where the continuations of an n-gram begin among the longer ones; they end where those
        # of the next one begin. Each order ends in an entry of its own for that.
        begins = []
        for tag, order in zip(tags[1:], orders[:-1], strict=True):
            shorter = steps[order] & _KEY
            following = np.append(shorter, shorter[-1] + np.uint64(1)) << np.uint64(BITS)
            begins.append(steps.searchsorted(tag | following).astype(np.int32))
        self._begins = np.concatenate(begins)
        self._tags = tags[:-1]
        bits = np.arange(BITS, BITS * self.order, BITS, dtype=np.uint64)
        self._masks = (np.uint64(1) << bits) - np.uint64(1)
        self._mask = (1 << (BITS * (self.order - 1))) - 1
        self._cache: OrderedDict[int, Floats] = OrderedDict()
        self._shorts: dict[int, Floats] = {}

    def extend(self, history: int, label: int) -> int:
        """The history after one more label."""
        return ((history << BITS) | label) & self._mask

    def gains(self, history: int) -> Floats:
        """float32 [32]: gain of every label (and of the end) after a history, in nats."""
        found = self._cache.get(history)
        if found is None:
            contexts = self._contexts(history, self.order)
            found = self._filled(contexts) - self._short(contexts, history)
            self._cache[history] = found
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return found

    def log_probs(self, history: int, order: int) -> Floats:
        """float32 [32]: log p(label | the last order - 1 labels of the history)."""
        return self._filled(self._contexts(history, order))

    def _contexts(self, history: int, order: int) -> NDArray[np.intp]:
        """Where the last 1, 2, ... labels of a history stand, as long as they were ever seen."""
        wanted = self._tags[: order - 1] | (np.uint64(history) & self._masks[: order - 1])
        places: NDArray[np.intp] = self._keys.searchsorted(wanted)
        seen = self._keys.take(places, mode="clip") == wanted
        known = len(places) if seen.all() else int(seen.argmin())
        return places[:known]

    def _short(self, contexts: NDArray[np.intp], history: int) -> Floats:
        """What the transducer's own predictor can know."""
        pair = history & ((1 << (BITS * (SHORT - 1))) - 1)
        found = self._shorts.get(pair)
        if found is None:
            found = self._shorts[pair] = self._filled(contexts[: SHORT - 1])
        return found

    def _filled(self, contexts: NDArray[np.intp]) -> Floats:
        """Log-probabilities of all labels: what a longer context tells replaces the shorter's."""
        entries = contexts + _NUMBERS[: len(contexts)]
        first = np.zeros(len(contexts) + 1, np.intp)
        first[1:] = self._begins.take(entries)
        counts = -first
        counts[0] = self._single
        counts[1:] += self._begins.take(entries + 1)
        ends = counts.cumsum()
        places = np.repeat(first - ends + counts, counts) + np.arange(ends[-1])
        # Every longer context that says nothing about a label costs its back-off weight.
        passed = np.zeros(len(counts), np.float32)
        passed[:-1] = _BACKOFF_NATS.take(self._backoffs.take(contexts))[::-1].cumsum()[::-1]
        # A label that was never seen at all is as rare as the file can say.
        found = np.full(LABELS, _NATS[-1] + passed[0], np.float32)
        labels = (self._keys.take(places) & _LABEL).astype(np.intp)
        # Of a label that comes several times, the last one counts: that of the longest context.
        found[labels] = _NATS.take(self._log_probs.take(places)) + np.repeat(passed, counts)
        return found
