"""Every error that the agent raises on purpose.

Each message is one sentence that says what is wrong and what to do about it.

VoiceAgentError
├── ConfigError              the configuration cannot be used
├── AudioError               sound cannot be read or captured
│   ├── UnreadableAudioError     not audio, or a broken file
│   └── AudioDeviceError         the capture device failed or went silent
├── BundleError              a model bundle cannot be used
│   ├── ManifestError            the manifest is missing, broken or of an unknown version
│   ├── BundleFileError          a file is missing, truncated or altered
│   └── RuntimeUnavailableError  no TFLite interpreter is installed, or it refuses a file
├── ProtocolError            a peer on the socket broke the protocol
│   ├── MessageTooLargeError     a message longer than the limit was announced
│   ├── MalformedMessageError    a message is not what its kind promises
│   └── HandshakeError           a peer is of another user, another version, or did not say hello
├── SocketError              the socket cannot be served
├── OutboxError              results cannot be stored durably
├── MqttError                the broker connection cannot be set up
└── UpdateError              a release cannot be received, trusted or used
    ├── TrustError               what the broker offers is not what the owners of the keys signed
    │   ├── UnreachableError         nobody answers, or the connection broke
    │   ├── AbsentError              a file or a part of one is withheld
    │   ├── SignatureError           too few of the keys that count have signed
    │   ├── RollbackError            older than what this board has already seen
    │   ├── ExpiredError             nobody has renewed it in time
    │   ├── TamperedError            length or hash differ from what was signed
    │   ├── EndlessDataError         more bytes than allowed
    │   ├── MetadataError            signed, and still nonsense
    │   └── UnfitError               a genuine release that is not for this board as it is
    │       ├── WrongModelError          for another bundle
    │       ├── WrongHardwareError       for another machine
    │       ├── AgentTooOldError         needs a newer agent
    │       ├── BelowFloorError          older than the oldest that may be installed
    │       └── WrongBaseError           a diff from another bundle than the one here
    ├── ImageError               a full image is no tar of a bundle
    ├── SlotError                a slot cannot be written, or does not hold what it should
    ├── TrialError               a release does not pass its trial on this board
    ├── UnfinishedError          a step of an update was cut off again and again
    ├── BusyError                another update is under way
    └── DiffError                a diff or an overlay cannot be applied
        ├── MalformedDiffError       the bytes are not a diff, or a damaged one
        ├── UnsupportedDiffError     a newer agent is needed to read it
        ├── DiffLimitError           it asks for more than an agent ever grants
        ├── BaseMismatchError        the bundle at hand is not the one it starts from
        ├── ResultMismatchError      what it makes is not what it promises
        └── DiffStorageError         a file cannot be read or written
"""

from __future__ import annotations


class VoiceAgentError(Exception):
    """Base of all errors that the agent raises on purpose."""


class ConfigError(VoiceAgentError):
    """The configuration cannot be used: names the file, the key and what is allowed."""


class AudioError(VoiceAgentError):
    """Sound cannot be read or captured."""


class UnreadableAudioError(AudioError):
    """The file is missing, is not audio, or is broken."""


class AudioDeviceError(AudioError):
    """The capture device failed, vanished or went silent."""


class BundleError(VoiceAgentError):
    """A model bundle cannot be used."""


class ManifestError(BundleError):
    """The manifest is missing, broken or of an unknown version."""


class BundleFileError(BundleError):
    """A file of the bundle is missing, truncated or altered."""


class RuntimeUnavailableError(BundleError):
    """No TFLite interpreter is installed, or it refuses a model file."""


class ProtocolError(VoiceAgentError):
    """A peer on the socket broke the protocol; its connection is closed."""


class MessageTooLargeError(ProtocolError):
    """A peer announced a message longer than the limit."""


class MalformedMessageError(ProtocolError):
    """A message is not valid JSON or not what its kind promises."""


class HandshakeError(ProtocolError):
    """A peer belongs to another user, speaks another version, or did not say hello."""


class SocketError(VoiceAgentError):
    """The socket between the processes cannot be served."""


class OutboxError(VoiceAgentError):
    """Results cannot be stored durably."""


class MqttError(VoiceAgentError):
    """The broker connection cannot be set up."""


class UpdateError(VoiceAgentError):
    """A release cannot be received, trusted or used."""


class TrustError(UpdateError):
    """What the broker offers is not what the owners of the keys signed."""


class UnreachableError(TrustError):
    """Nobody answers, or the connection broke."""


class AbsentError(TrustError):
    """A file or a part of one is withheld."""


class SignatureError(TrustError):
    """Too few of the keys that count have signed."""


class RollbackError(TrustError):
    """Older than what this board has already seen."""


class ExpiredError(TrustError):
    """Nobody has renewed it in time; also what a broker causes that keeps the new back."""


class TamperedError(TrustError):
    """Length or hash differ from what was signed."""


class EndlessDataError(TrustError):
    """More bytes than allowed."""


class MetadataError(TrustError):
    """Signed by the right keys and still not what this agent understands."""


class UnfitError(TrustError):
    """A genuine release that is not for this board as it is."""


class WrongModelError(UnfitError):
    """For another bundle."""


class WrongHardwareError(UnfitError):
    """For another machine."""


class AgentTooOldError(UnfitError):
    """Needs a newer agent."""


class BelowFloorError(UnfitError):
    """Older than the oldest that may be installed."""


class WrongBaseError(UnfitError):
    """A diff from another bundle than the one that is here."""


class ImageError(UpdateError):
    """A full image is no tar of a bundle."""


class SlotError(UpdateError):
    """A slot cannot be written, or does not hold what it should."""


class TrialError(UpdateError):
    """A release does not pass its trial on this board."""


class UnfinishedError(UpdateError):
    """A step of an update was cut off again and again."""


class BusyError(UpdateError):
    """Another update is under way; wait until it has ended."""


class DiffError(UpdateError):
    """A diff or an overlay cannot be applied; what was written of the result is thrown away."""


class MalformedDiffError(DiffError):
    """The bytes are not a diff, or a damaged one."""


class UnsupportedDiffError(DiffError):
    """The diff uses a format that only a newer agent reads."""


class DiffLimitError(DiffError):
    """The diff asks for more files, memory or disk space than an agent ever grants."""


class BaseMismatchError(DiffError):
    """The bundle at hand is not the one that the diff starts from."""


class ResultMismatchError(DiffError):
    """The bundle that the diff made is not the one that it promises."""


class DiffStorageError(DiffError):
    """A file cannot be read or written while a diff is applied; the cause is the `OSError`."""
