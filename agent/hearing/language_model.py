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
import itertools
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
_BACKOFF_NATS = [(128.0 - byte) * STEP_NATS for byte in range(256)]
"""What it says about a back-off weight, which may exceed one."""
LONGEST = 12
"""Labels in the longest n-gram that fits into 64 bits."""
SHORT = 3
"""Order that the transducer's own predictor covers: a label and the two before."""
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
        self.order = len(counts)
        bounds = np.concatenate(([0], np.cumsum(counts)))
        parts = [slice(a, b) for a, b in itertools.pairwise(bounds)]
        # 60 bits at most. Bytes stay bytes until they are looked up: 14 bytes for an n-gram.
        self._keys = [np.cumsum(steps[part], dtype=np.uint64).view(np.int64) for part in parts]
        self._log_probs = [log_probs[part] for part in parts]
        self._backoffs = [backoffs[part] for part in parts]
        # Where the continuations of an n-gram begin among the longer ones; they end where those
        # of the next one begin.
        self._begins = [
            longer.searchsorted(np.append(shorter, shorter[-1:] + 1) << BITS).astype(np.int32)
            for shorter, longer in itertools.pairwise(self._keys)
        ]
        self._mask = (1 << (BITS * (self.order - 1))) - 1
        self._cache: OrderedDict[int, Floats] = OrderedDict()

    def extend(self, history: int, label: int) -> int:
        """The history after one more label."""
        return ((history << BITS) | label) & self._mask

    def gains(self, history: int) -> Floats:
        """float32 [32]: gain of every label (and of the end) after a history, in nats."""
        found = self._cache.get(history)
        if found is None:
            long, short = self._look_up(history, self.order)
            found = self._cache[history] = long - short
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return found

    def log_probs(self, history: int, order: int) -> Floats:
        """float32 [32]: log p(label | the last order - 1 labels of the history)."""
        return self._look_up(history, order)[0]

    def _look_up(self, history: int, order: int) -> tuple[Floats, Floats]:
        """Log-probabilities by up to `order` labels, and by up to `SHORT`."""
        # A label that was never seen at all is as rare as the file can say.
        found = np.full(LABELS, _NATS[-1], np.float32)
        found[self._keys[0] & (LABELS - 1)] = _NATS.take(self._log_probs[0])
        short = found
        for n in range(1, order):
            context = history & ((1 << (BITS * n)) - 1)
            keys = self._keys[n - 1]
            at = keys.searchsorted(context)
            if at == len(keys) or keys[at] != context:
                break
            if n == SHORT:
                short = found.copy()
            found += _BACKOFF_NATS[self._backoffs[n - 1][at]]
            begins = self._begins[n - 1]
            span = slice(begins[at], begins[at + 1])
            labels = self._keys[n][span] & (LABELS - 1)
            found[labels] = _NATS.take(self._log_probs[n][span])
        return found, short
