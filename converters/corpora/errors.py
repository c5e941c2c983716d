"""Errors of corpora.

The tree:

    CorpusError
    ├── CorpusNameError   what was given to --corpus fits nothing that is there
    ├── ManifestError     a manifest is damaged, or is none of lhotse's
    └── RecordingError    the recordings that a manifest names cannot be read
"""

from __future__ import annotations

from agent.errors import VoiceAgentError


class CorpusError(VoiceAgentError):
    """Base of everything that keeps a corpus from being used."""


class CorpusNameError(CorpusError):
    """A corpus or a split was named that is not there; the message lists those that are."""


class ManifestError(CorpusError):
    """A manifest cannot be read; the message names the file and the line."""


class RecordingError(CorpusError):
    """Most recordings of a shard cannot be read; the message names one and the reason."""
