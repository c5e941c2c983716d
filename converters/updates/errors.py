"""What can go wrong while releases are made and published.

VoiceAgentError
└── PublishError             a release cannot be made, signed or published
    ├── KeyFileError             a private key is missing, unsafe or cannot be opened
    ├── RepositoryFolderError    the repository's folder is not what it should be
    └── BrokerError              the broker does not take or give what it should
"""

from __future__ import annotations

from agent.errors import VoiceAgentError


class PublishError(VoiceAgentError):
    """A release cannot be made, signed or published."""


class KeyFileError(PublishError):
    """A private key is missing, unsafe or cannot be opened."""


class RepositoryFolderError(PublishError):
    """The repository's folder is not what it should be."""


class BrokerError(PublishError):
    """The broker does not take or give what it should."""
