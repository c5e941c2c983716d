"""Sound and frames of the last seconds, in memory that is allocated once.

`SampleRing` is written by one thread, the one that owns the microphone, and read by another without
a lock: positions only ever grow, and a reader that was overtaken finds out and is told how much it
lost. `FrameRing` belongs to one thread; it keeps the frames before the wake word, so that the
encoder can start there without computing features twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import BLOCK, FRAME_DIM

Block = NDArray[np.int16]


class SampleRing:
    """The last samples of a source: int16, mono, 16 kHz.

    Args:
        samples: How many are kept.

    Attributes:
        written: Samples written so far; the position of the next one.
    """

    def __init__(self, samples: int) -> None:
        if samples < 2 * BLOCK:
            raise ValueError(f"a ring holds at least two blocks, {2 * BLOCK} samples")
        self._data = np.zeros(samples, np.int16)
        self.capacity = samples
        self.written = 0
        # Raised before samples are overwritten, `written` after: a reader that copies meanwhile
        # compares with this one, and so notices that its copy may be torn.
        self._claimed = 0

    def write(self, samples: Block) -> None:
        """Appends samples; only the writing thread calls this.

        Args:
            samples: int16 [n], n at most the capacity.
        """
        count = len(samples)
        self._claimed = self.written + count
        start = self.written % self.capacity
        first = min(count, self.capacity - start)
        self._data[start : start + first] = samples[:first]
        if first < count:
            self._data[: count - first] = samples[first:]
        self.written += count

    def copy(self, position: int, out: Block) -> bool:
        """Copies samples from a position on; any thread may call this.

        Args:
            position: The first sample wanted; those up to its end must have been written.
            out: int16 [n], is filled.

        Returns:
            False if the writer has overwritten some of them; `out` is then worthless.
        """
        count = len(out)
        start = position % self.capacity
        first = min(count, self.capacity - start)
        out[:first] = self._data[start : start + first]
        if first < count:
            out[first:] = self._data[: count - first]
        return self._claimed - position <= self.capacity


class RingReader:
    """Reads a `SampleRing` block after block.

    Args:
        ring: What is read, from its present end on.

    Attributes:
        overruns: How often the writer overtook.
        lost_samples: Samples that were skipped for it.
    """

    def __init__(self, ring: SampleRing) -> None:
        self._ring = ring
        self._position = ring.written
        self._block = np.zeros(BLOCK, np.int16)
        self.overruns = 0
        self.lost_samples = 0

    @property
    def position(self) -> int:
        """Position in the ring behind the block that was read last."""
        return self._position

    @property
    def waiting(self) -> int:
        """Samples that can be read."""
        return self._ring.written - self._position

    def read(self) -> Block | None:
        """The next block, or None if it is not complete.

        Returns:
            int16 [640], overwritten by the next call.
        """
        if self._ring.written - self._position < BLOCK:
            return None
        while not self._ring.copy(self._position, self._block):
            # Far enough from the writer that this copy is not overtaken as well, and by whole
            # blocks, so that frames keep their place in time.
            newest = self._ring.written - self._ring.capacity // 2
            skipped = -(-max(newest - self._position, BLOCK) // BLOCK) * BLOCK
            self._position += skipped
            self.lost_samples += skipped
            self.overruns += 1
            if self._ring.written - self._position < BLOCK:
                return None
        self._position += BLOCK
        return self._block


class FrameRing:
    """The last frames by their number since the start.

    Args:
        frames: How many are kept.
    """

    def __init__(self, frames: int) -> None:
        self._data = np.zeros((frames, FRAME_DIM), np.float32)
        self._frames = frames
        self.next = 0
        """Number of the frame that is appended next."""

    @property
    def oldest(self) -> int:
        """Number of the oldest frame that is kept."""
        return max(0, self.next - self._frames)

    def append(self, frame: NDArray[np.float32]) -> int:
        """Keeps a frame, float32 [256], and gives its number."""
        number = self.next
        self._data[number % self._frames] = frame
        self.next = number + 1
        return number

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        """A frame by its number; a view that later frames overwrite.

        Raises:
            IndexError: It is not kept any more, or not there yet.
        """
        if not self.oldest <= number < self.next:
            raise IndexError(f"frame {number} is not among {self.oldest} to {self.next - 1}")
        frame: NDArray[np.float32] = self._data[number % self._frames]
        return frame

    def reset(self) -> None:
        """Forgets all frames and counts from 0 again."""
        self.next = 0
