"""Opens the source that `--source` names, loading only what this kind needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.hearing.sources import Source, SourceName


def open_source(name: SourceName) -> Source:
    """A recording, standard input or a microphone, ready to be read.

    Args:
        name: What was asked for, see `agent.hearing.sources.parse_source`.

    Raises:
        AudioError: It cannot be opened.
    """
    if name.kind == "file":
        from agent.hearing.audio_file import AudioFile

        return AudioFile(Path(name.name))
    if name.kind == "stdin":
        from agent.hearing.sources import RawStream

        return RawStream()
    from agent.hearing.microphone import Microphone

    return Microphone(name.name)
