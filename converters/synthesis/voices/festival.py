"""festival as long-lived `festival --pipe` processes: voices kal, ked (diphone) and slt_hts.

CMU/EST licence (BSD-like); slt_hts also the NITECH BSD licence. One process per voice, because
changing the voice of a process reloads its data. Waves come back through a memory file system.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import subprocess
import tempfile
import time
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converters.synthesis.errors import EngineError, MissingResourceError
from converters.synthesis.lexicon import StandIns, Word, to_festival
from converters.synthesis.phones import radio_phones, segments
from converters.synthesis.voices.engine import EngineSpeech, punctuated
from converters.synthesis.voices.flite import align_ends

_COMMANDS = {"kal": "kal_diphone", "ked": "ked_diphone", "slt_hts": "cmu_us_slt_arctic_hts"}
_DIPHONE_PITCH_HZ = {"kal": 105.0, "ked": 105.0}
_PITCH_DEVIATION_HZ = 14.0
_REPLY_SECONDS = 60.0
_DONE = b"@@DONE"


class _Process:
    """One festival with one voice."""

    def __init__(self, voice: str, stand_ins: StandIns) -> None:
        try:
            self._process = subprocess.Popen(
                ["festival", "--pipe"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"},
            )
        except FileNotFoundError as error:
            raise MissingResourceError(
                "festival is missing: install the package festival."
            ) from error
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        memory = Path("/dev/shm")  # noqa: S108 - mkstemp makes the name there
        handle, path = tempfile.mkstemp(".wav", dir=memory if memory.is_dir() else None)
        os.close(handle)
        self.wave_path = Path(path)
        self.ask(f"(voice_{_COMMANDS[voice]})")
        self.ask("".join(to_festival(word, phones) for word, phones in stand_ins.entries()))

    def ask(self, expression: str) -> str:
        """Evaluate an expression and return what festival printed.

        Raises:
            EngineError: festival ended, or did not answer in time.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # festival buffers its output: without the flush the marker would never arrive.
        request = f'{expression}\n(format t "\\n{_DONE.decode()}\\n")(fflush nil)\n'
        try:
            self._process.stdin.write(request.encode())
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise EngineError("festival has ended unexpectedly.") from error
        deadline = time.monotonic() + _REPLY_SECONDS
        reply = b""
        while _DONE not in reply:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise EngineError(f"festival did not answer within {_REPLY_SECONDS:.0f} s.")
            part = os.read(self._process.stdout.fileno(), 65536)
            if not part:
                raise EngineError(f"festival ended on {expression[:120]!r}.")
            reply += part
        return reply.partition(_DONE)[0].decode(errors="replace")

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._selector.close()
        self._process.stdout.close()  # type: ignore[union-attr]
        self.wave_path.unlink(missing_ok=True)


class Festival:
    """festival with its English voices; each voice's process starts when first used."""

    name = "festival"

    def __init__(self) -> None:
        self._stand_ins = StandIns()
        self._processes: dict[str, _Process] = {}

    def version(self) -> str:
        """See `Engine.version`."""
        try:
            shown = subprocess.run(
                ["festival", "--version"], capture_output=True, text=True, timeout=10, check=False
            ).stdout
        except FileNotFoundError as error:
            raise MissingResourceError(
                "festival is missing: install the package festival."
            ) from error
        found = re.search(r"(\d+\.\d+(\.\d+)?)", shown)
        return f"festival {found[1]}" if found else "festival"

    def say(
        self,
        voice: str,
        words: Sequence[Word],
        *,
        stretch: float,
        pitch: float,
        pitch_range: float,
        pause_after: int | None,
        question: bool,
        seed: int,  # noqa: ARG002 - nothing in festival is random
    ) -> EngineSpeech:
        """See `Engine.say`. Voice slt_hts has no pitch knobs."""
        if voice not in _COMMANDS:
            raise EngineError(f"festival has no voice {voice!r}.")
        if voice not in self._processes:
            self._processes[voice] = _Process(voice, self._stand_ins)
        process = self._processes[voice]
        texts = [self._stand_ins.write(word) for word in words]
        line = " ".join(punctuated(texts, pause_after, question))
        if voice in _DIPHONE_PITCH_HZ:
            expression = f"(Parameter.set 'Duration_Stretch {stretch:.4f})"
            mean = _DIPHONE_PITCH_HZ[voice] * pitch
            spread = _PITCH_DEVIATION_HZ * pitch_range * pitch
            expression += (
                f"(set! int_lr_params '((target_f0_mean {mean:.1f}) (target_f0_std {spread:.1f})"
                " (model_f0_mean 170) (model_f0_std 34)))"
            )
        else:
            # The HTS engine has a rate of its own and does not look at Duration_Stretch.
            given = f"cmu_us_{voice.replace('_', '_arctic_')}::hts_engine_params"
            expression = f'(set! hts_engine_params (cons (list "-r" {1 / stretch:.4f}) {given}))'
        expression += (
            f'(set! u (Utterance Text "{line}"))(utt.synth u)'
            f'(utt.save.wave u "{process.wave_path}" \'riff)'
            '(mapcar (lambda (w) (format t "@%f\\n" (item.feat w "word_end")))'
            " (utt.relation.items u 'Word))"
            '(mapcar (lambda (s) (format t "#%s %f\\n" (item.name s) (item.feat s "end")))'
            " (utt.relation.items u 'Segment))"
        )
        try:
            process.wave_path.write_bytes(b"")
            reply = process.ask(expression)
            with wave.open(str(process.wave_path)) as reader:
                rate = reader.getframerate()
                samples = np.frombuffer(reader.readframes(reader.getnframes()), np.int16).copy()
        except (EngineError, wave.Error, EOFError) as error:
            # A process that failed once is not trusted again.
            self._processes.pop(voice).close()
            raise EngineError(f"festival could not say {line!r}: {error}.") from error
        ends = [float(value) for value in re.findall(r"@([\d.]+)", reply)]
        sounded = re.findall(r"#(\S+) ([\d.]+)", reply)
        phones = segments((radio_phones(symbol), float(end)) for symbol, end in sounded)
        return EngineSpeech(samples, rate, align_ends(texts, ends), phones)

    def close(self) -> None:
        """See `Engine.close`."""
        for process in self._processes.values():
            process.close()
        self._processes.clear()
