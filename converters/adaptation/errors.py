"""What can go wrong while a bundle is adapted to a person.

The tree:

    AdaptationError
    ├── RecordingsError   the recordings cannot be used
    └── NoGainError       the adapted bundle is no better, or harms others; nothing was written
"""

from __future__ import annotations

from agent.errors import VoiceAgentError


class AdaptationError(VoiceAgentError):
    """Base of everything that stops an adaptation."""


class RecordingsError(AdaptationError):
    """The folder of recordings cannot be used; the message says what to record or to write."""


class NoGainError(AdaptationError):
    """Adapting does not pay, so nothing was written; the message gives both figures."""
