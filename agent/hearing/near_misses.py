"""Tells when the wake word nearly fired: a score that rose, came down again and woke nobody.

Frame by frame, without a clock and without memory of the sound; whoever asks keeps the sound.
"""

from __future__ import annotations

_SETTLED_FRAMES = 15
"""0.6 s after its peak a word is over, and what follows it is in memory as well."""


class NearMisses:
    """Watches the scores of one wake word.

    Args:
        above: Lowest smoothed score that counts.
    """

    def __init__(self, above: float) -> None:
        self._above = above
        self._peak = 0.0
        self._left = 0

    def step(self, score: float, *, detected: bool, idle: bool) -> float | None:
        """Takes the next frame.

        Args:
            score: Smoothed score of the wake word.
            detected: It fired in this frame.
            idle: No command is being heard; what is said in a command is none of our business.

        Returns:
            The peak of a near miss, in the frame in which it is sure to be one.
        """
        if detected or not idle:
            self.reset()
            return None
        if score >= self._above and score >= self._peak:
            self._peak, self._left = score, _SETTLED_FRAMES
            return None
        if self._left == 0:
            return None
        self._left -= 1
        if self._left:
            return None
        peak = self._peak
        self.reset()
        return peak

    def reset(self) -> None:
        """Forgets what was rising."""
        self._peak, self._left = 0.0, 0
