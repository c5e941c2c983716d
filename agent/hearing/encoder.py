"""The streaming encoder: a frame in, an encoding in the joiner's space out, state carried."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.bundle.runtime import Model
from agent.hearing.features import FRAME_DIM


class Encoder:
    """Runs the encoder frame by frame.

    Args:
        model: Input `frame` [1, 256], output `encoding` [1, dim], and states.

    Attributes:
        frames: Frames encoded since construction; tells what was spent.

    Raises:
        BundleFileError: The model is no encoder.
    """

    def __init__(self, model: Model) -> None:
        model.require({"frame": (1, FRAME_DIM)}, {"encoding": (1, -1)})
        self._model = model
        self.dim = model.shape("encoding")[1]
        """Size of an encoding."""
        self.frames = 0

    def process(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encodes the next frame.

        Args:
            frame: float32 [256].

        Returns:
            The encoding, float32 [1, dim].
        """
        self.frames += 1
        encoding: NDArray[np.float32] = self._model(frame.reshape(1, FRAME_DIM))[0]
        return encoding

    @property
    def state(self) -> dict[str, NDArray[np.float32]]:
        """The state after the last frame, for heads that read it."""
        return self._model.state

    def reset(self) -> None:
        """Goes back to the state after construction."""
        self._model.reset()
