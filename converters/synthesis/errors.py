"""Errors of speech synthesis.

The tree:

    SynthesisError
    ├── MissingResourceError   an engine, voice or dictionary is not installed
    ├── EngineError            an engine failed on one utterance
    └── PoolError              a pool on disk cannot be used
"""

from __future__ import annotations

from agent.errors import VoiceAgentError


class SynthesisError(VoiceAgentError):
    """Base of everything that goes wrong while speech is made."""


class MissingResourceError(SynthesisError):
    """An engine, a voice or a dictionary is not installed; the message names the package."""


class EngineError(SynthesisError):
    """An engine could not say one utterance."""


class PoolError(SynthesisError):
    """A pool on disk is damaged, or was made by another recipe."""
