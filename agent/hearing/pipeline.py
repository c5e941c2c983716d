"""Everything between a block of samples and an event, in one place.

`listen`, `transcribe`, `wake` and `bench` push blocks into this very class:

    block ─▶ levels ─▶ features ─▶ wake word(s) ─▶ session (encoder ─▶ transducer ─▶ end-pointer)

    pipeline = Pipeline(load_bundle(factory_bundle()), Config())
    for block in blocks:                    # int16 [640], 40 ms each
        for event in pipeline.process(block):
            ...
    pipeline.finish(seconds)                # at the end of a recording
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent.bundle.loading import load_model
from agent.bundle.manifest import Bundle
from agent.bundle.runtime import Model
from agent.bundle.schema import WakeEntry
from agent.config import Config
from agent.errors import BundleFileError
from agent.hearing.decoding import load_decoder
from agent.hearing.encoder import Encoder
from agent.hearing.end_pointers import EndRules
from agent.hearing.features import BLOCK, FRAME_SECONDS, LogMel
from agent.hearing.joint import Joint
from agent.hearing.levels import LevelMeter
from agent.hearing.ring_buffer import Block
from agent.hearing.second_stage import load_second_stage
from agent.hearing.session import Session, SessionSettings
from agent.hearing.session_events import SessionEvent, State
from agent.hearing.transcript import Vocabulary
from agent.hearing.wake_word import Detection, WakeWord, own_word, wake_settings

_PADDING_S = 1.2
"""Silence behind a recording, so that its last command ends as it would in a quiet room."""
_SCALE = np.float32(1.0 / 32768.0)


class Pipeline:
    """Hears one source.

    Args:
        bundle: The models.
        config: `wake` and `session` are used.
        wake: False leaves the wake words out; the session must then be opened.

    Attributes:
        session: The state machine.
        levels: Levels of what was heard.
        features: From blocks to frames.
        encoder: Counts what was spent.
        decoder: From encodings to labels.
        words: The wake words.
        frames: Blocks since the beginning, lost ones included.

    Raises:
        BundleError: The models cannot be used.
    """

    def __init__(self, bundle: Bundle, config: Config, *, wake: bool = True) -> None:
        manifest = bundle.manifest
        vocabulary = Vocabulary(bundle.tokens())
        self.encoder = Encoder(load_model(bundle, bundle.file("encoder_slow")))
        joint = Joint(
            load_model(bundle, bundle.file("predictor")),
            load_model(bundle, bundle.file("joiner")),
            blank=manifest.tokens.blank,
        )
        if joint.labels != len(vocabulary) or joint.dim != self.encoder.dim:
            raise BundleFileError(
                f"The encoder gives {self.encoder.dim} numbers and the joiner takes"
                f" {joint.dim}, it has {joint.labels} labels and there are"
                f" {len(vocabulary)} tokens; restore the bundle."
            )
        self.decoder = load_decoder(bundle, joint)
        settings = SessionSettings(
            rules=EndRules.from_config(config.session),
            context_frames=round(config.session.context_seconds / FRAME_SECONDS + 0.49),
            partial_frames=max(1, round(config.session.partial_interval_seconds / FRAME_SECONDS)),
        )
        self.session = Session(
            self.encoder, self.decoder, vocabulary, settings, bundle.macs_per_frame()
        )
        self.words = load_wake_words(bundle, config) if wake else []
        self.levels = LevelMeter()
        self.frames = 0
        self.features = LogMel()
        self._samples = np.zeros(BLOCK, np.float32)

    def process(self, block: Block) -> Sequence[SessionEvent]:
        """Hears the next block.

        Args:
            block: int16 [640].

        Returns:
            What happened, in order; usually nothing.

        Raises:
            ValueError: The block does not hold 640 samples.
        """
        samples = self._samples
        np.multiply(block, _SCALE, out=samples, dtype=np.float32)
        mean_square = self.levels.process(block, samples)
        frame = self.features.process(samples)
        detection: Detection | None = None
        for word in self.words:
            # Every model sees every frame, so that its state stays whole; the first one wins.
            found = word.process(frame)
            detection = detection or found
        self.frames += 1
        return self.session.process(frame, mean_square, detection)

    @property
    def idle(self) -> bool:
        """True between two commands."""
        return self.session.state is State.IDLE

    def take_over(self, previous: Pipeline) -> None:
        """Goes on between two commands where another pipeline is, without losing a block.

        Features, levels and the last seconds of frames are the same for all models, so they are
        kept; the wake words hear the frames again, so that a word which is half said still counts.

        Args:
            previous: It is idle, and not to be used any more.

        Raises:
            ValueError: It is not idle.
        """
        self.session.take_over(previous.session)
        self.features = previous.features
        self.levels = previous.levels
        self.frames = previous.frames
        for word in self.words:
            word.catch_up(self.session.frames)

    def open(self) -> Sequence[SessionEvent]:
        """Begins to decode at once, without a wake word, until `finish`."""
        return self.session.open()

    def reset(self) -> None:
        """Goes back to the state after construction, for the next recording."""
        self._forget(0)
        self.levels = LevelMeter()

    def restart(self, lost_frames: int = 0) -> Sequence[SessionEvent]:
        """Starts afresh in the middle of the sound: after a gap in it, or after a failure.

        Sound from before a gap and sound from behind it make no word together. Time goes on.

        Args:
            lost_frames: How long the gap is.

        Returns:
            What an open command ended with.
        """
        events = self.session.close()
        self._forget(self.frames + lost_frames)
        return events

    def _forget(self, frames: int) -> None:
        for word in self.words:
            word.reset()
        self.features.reset()
        self.session.reset(frames)
        self.frames = frames

    def finish(self, audio_s: float) -> list[SessionEvent]:
        """The recording is over: an open command gets its result.

        Args:
            audio_s: Length of the recording; no time of a result is later.

        Returns:
            The last events.
        """
        self.session.timeline.end_s = audio_s
        events: list[SessionEvent] = []
        silence = np.zeros(BLOCK, np.int16)
        for _ in range(round(_PADDING_S / FRAME_SECONDS)):
            events += self.process(silence)
        # A wake word at the very end may have opened a session just now.
        for _ in range(round(_PADDING_S / FRAME_SECONDS)):
            if self.session.state is State.IDLE:
                break
            events += self.process(silence)
        events += self.session.close()
        return events


def load_wake_words(bundle: Bundle, config: Config) -> list[WakeWord]:
    """The wake words: the one that the configuration names, else all of the bundle.

    Raises:
        BundleError: A model cannot be used, or the bundle has no wake word.
    """
    if config.wake.word_file:
        path = Path(config.wake.word_file).expanduser()
        return [_wake_word(Model(path), own_word(path), bundle, config)]
    if not bundle.manifest.wake:
        raise BundleFileError(
            f"The bundle {bundle.directory} has no wake word; set wake.word_file, or use --no-wake."
        )
    return [
        _wake_word(load_model(bundle, entry.file), entry, bundle, config)
        for entry in bundle.manifest.wake
    ]


def _wake_word(model: Model, entry: WakeEntry, bundle: Bundle, config: Config) -> WakeWord:
    settings = wake_settings(entry, config.wake)
    asked = load_second_stage(bundle, settings.phrase) if settings.second_stage else None
    return WakeWord(model, settings, asked)
