"""A microphone that says what a test wants: ALSA's file plugin reads a pipe, written in real time.

    mic  = plug -> file -> null, fed from a named pipe

The pipe must be written in whole periods, and kept open: the plugin answers a short read with a
full period of rubbish, and the end of the pipe with silence at any speed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agent.hearing.features import BLOCK


def define_microphone(folder: Path) -> Path:
    """Defines the device `mic` in the home directory; gives the pipe that feeds it.

    ALSA reads its configuration once in a process, so only processes started from now on know it.
    """
    path = folder / "voice.fifo"
    os.mkfifo(path)
    asoundrc = f"""
    pcm.silent {{ type null }}
    pcm.voice {{
        type file
        slave.pcm silent
        file "/dev/null"
        infile "{path}"
        format "raw"
    }}
    pcm.mic {{ type plug slave.pcm "voice" }}
    """
    (Path(os.environ["HOME"]) / ".asoundrc").write_text(asoundrc)
    return path


class Voice:
    """Writes samples into the pipe, period by period, in real time."""

    def __init__(self, pipe: Path, samples: np.ndarray) -> None:
        self._pipe = pipe
        self._samples = samples.astype("<i2")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._pipe.open("wb", buffering=0) as stream:
            due = time.monotonic()
            for period in self._periods():
                due += 0.04
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                try:
                    stream.write(period)
                except BrokenPipeError:
                    return

    def _periods(self) -> Iterator[bytes]:
        content = self._samples.tobytes()
        for start in range(0, len(content), 2 * BLOCK):
            yield content[start : start + 2 * BLOCK]
        while True:
            yield bytes(2 * BLOCK)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5.0)
