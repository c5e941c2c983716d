"""What the model should answer in every frame, given where words end.

Let ``d`` be the time from a word's end to a frame's end, in hops of 10 ms. The answer is

    d <  -8           no: the word may still turn into another
    -8 <= d <   8     either: right at its end nobody can say
     8 <= d <  32     yes, for six frames, so that a mean over a few of them stays high
    32 <= d <  44     either: the answer fades
    d >= 44           no

Answering 80 ms after the end rather than 40 costs nobody anything (the sound is kept) and lets the
network hear how the word's last phone ends, which it else has to guess.

A frame that two words claim takes "yes" before "either" before "no".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import HOPS_PER_FRAME

EARLY_HOPS, YES_HOPS, FADE_HOPS, NO_HOPS = -8, 8, 32, 44


def frame_targets(
    frames: int, word_ends: Sequence[float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Targets of one stream.

    Args:
        frames: length of the stream.
        word_ends: ends of the wake word in hops from the start of the stream.

    Returns:
        ``(target, weight)``, both float32 [frames]: target 1 for yes and 0 for no, weight 0
        where either answer is right and 1 elsewhere.
    """
    target = np.zeros(frames, np.float32)
    weight = np.ones(frames, np.float32)
    frame_ends = HOPS_PER_FRAME * np.arange(1, frames + 1)
    for end in word_ends:
        delay = frame_ends - end
        weight[(delay >= EARLY_HOPS) & (delay < NO_HOPS)] = 0.0
    for end in word_ends:
        delay = frame_ends - end
        yes = (delay >= YES_HOPS) & (delay < FADE_HOPS)
        target[yes] = weight[yes] = 1.0
    return target, weight
