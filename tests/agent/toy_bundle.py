"""A model bundle that understands tones: real .tflite files whose weights were chosen by hand.

Every letter is a tone of its own frequency, and so is the wake word. The encoder averages a tone's
band over a few frames (so it has state), the joiner emits the letter unless it was the last one,
the wake model's score rises after 240 ms of its tone. So tests say what they expect in plain text:

    directory = write_toy_bundle(tmp_path / "toy")
    audio = tones("* ab a")        # wake word, pause, then "ab a"

Authoring needs `flatbuffers`, which LiteRT brings along, and no torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from agent.bundle.manifest import (
    LayoutEntry,
    Manifest,
    ProvenanceEntry,
    SelftestEntry,
    WakeEntry,
    write_manifest,
)
from agent.hearing.features import FRAME_DIM, HOPS_PER_FRAME, MELS, SAMPLE_RATE, mel_bank
from converters.export.authoring import GraphAuthor

PHRASE = "beep"
TOKENS = ("<blank>", "<space>", "a", "b", "c", "d")
LABEL = {" ": 1, "a": 2, "b": 3, "c": 4, "d": 5}
FREQUENCIES = {"*": 500.0, " ": 900.0, "a": 1400.0, "b": 2000.0, "c": 2900.0, "d": 4200.0}
DIM = 8
"""Size of the joiner's space."""
TONE_S = {"*": 0.6}
"""Length of tones that are not 0.16 s."""

_LOUD = 0.0  # log power of a band that counts as a tone


def tones(text: str, *, amplitude: float = 0.3, silence: float = 0.0) -> NDArray[np.float32]:
    """The sound of a text: `*` is the wake word, `_` a pause of 0.2 s, `.` one of 1 s.

    Args:
        text: Letters a to d, spaces, and the signs above.
        amplitude: Of the tones.
        silence: Standard deviation of the noise between and below them.

    Returns:
        float32 [n] at 16 kHz.
    """
    pieces = []
    for sign in text:
        seconds = {"_": 0.2, ".": 1.0}.get(sign, TONE_S.get(sign, 0.16))
        moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        frequency = FREQUENCIES.get(sign)
        tone = np.zeros(len(moments)) if frequency is None else np.sin(
            2 * np.pi * frequency * moments
        )  # fmt: skip
        pieces.append(amplitude * tone)
    sound = np.concatenate(pieces)
    sound += silence * np.random.default_rng(1).standard_normal(len(sound))
    return sound.astype(np.float32)


def write_sound(path: Path, samples: NDArray[np.float32], rate: int = SAMPLE_RATE) -> Path:
    """Writes a recording and gives its path back."""
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def write_toy_bundle(directory: Path, *, wake: bool = True) -> Path:
    """Makes the bundle; gives its directory back."""
    (directory / "wake").mkdir(parents=True)
    (directory / "selftest").mkdir()
    (directory / "encoder_slow.tflite").write_bytes(encoder())
    (directory / "predictor.tflite").write_bytes(predictor())
    (directory / "joiner.tflite").write_bytes(joiner())
    (directory / "tokens.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    (directory / "CARD.md").write_text("# Tones\n\nUnderstands nothing else.\n")
    words: tuple[WakeEntry, ...] = ()
    if wake:
        (directory / "wake" / "beep.tflite").write_bytes(wake_word())
        words = (
            WakeEntry(phrase=PHRASE, file="wake/beep.tflite", threshold=500, smoothing=1, length=6),
        )
    clips = []
    for number, text in enumerate(("ab", "a dc", "cab")):
        write_sound(directory / "selftest" / f"{number}.flac", tones(f"_*{text}."))
        clips.append(SelftestEntry(path=f"selftest/{number}.flac", text=text, wake=PHRASE))
    write_toy_manifest(directory, words, tuple(clips))
    return directory


def write_toy_manifest(
    directory: Path,
    words: tuple[WakeEntry, ...] = (),
    clips: tuple[SelftestEntry, ...] = (),
    layout: tuple[LayoutEntry, ...] = (),
) -> Manifest:
    """Writes the manifest for what lies in the directory."""
    return write_manifest(
        directory,
        name="toy",
        languages=["en"],
        release=1,
        model="tones",
        wake=words,
        selftest=clips,
        layout=layout,
        provenance=ProvenanceEntry(seed=0, licences=("Apache-2.0",)),
    )


def _detector(frequency: float) -> NDArray[np.float32]:
    """A row over the frame [256] that averages one band over the four hops."""
    bins = np.zeros((1, 257))
    bins[0, round(frequency / SAMPLE_RATE * 512)] = 1.0
    band = int(mel_bank().apply(bins)[0].argmax())
    row = np.zeros((HOPS_PER_FRAME, MELS), np.float32)
    row[:, band] = 1.0 / HOPS_PER_FRAME
    return row.reshape(FRAME_DIM)


def encoder() -> bytes:
    """encoding = half of the last encoding and half of what is heard now, 0 to 1 for each label."""
    graph = GraphAuthor("toy encoder")
    frame = graph.input("frame", [1, FRAME_DIM])
    before = graph.input("state_h", [1, DIM])
    rows = np.zeros((DIM, FRAME_DIM), np.float32)
    bias = np.full(DIM, -20.0, np.float32)
    for letter, label in LABEL.items():
        rows[label] = _detector(FREQUENCIES[letter])
        bias[label] = -_LOUD
    heard = graph.sigmoid(graph.linear("detect", frame, rows, bias))
    half = graph.constant("half", np.array([0.5], np.float32))
    after = graph.add(graph.mul(half, before), graph.mul(half, heard))
    # The state is also the encoding; an output needs a tensor of its own.
    graph.output("state_h.out", after)
    graph.output("encoding", graph.add(after, graph.constant("zero", np.zeros(1, np.float32))))
    return graph.bytes()


def predictor() -> bytes:
    """prediction = 1 at the last label that was emitted; the blank leaves all zeros."""
    graph = GraphAuthor("toy predictor")
    labels = graph.input("labels", [1, 2], "int32")
    table = np.eye(len(TOKENS), DIM, dtype=np.float32)
    table[0] = 0.0
    pair = graph.reshape("flat", graph.gather(graph.constant("table", table), labels), [1, 2 * DIM])
    last = np.concatenate((np.zeros((DIM, DIM)), np.eye(DIM)), axis=1).astype(np.float32)
    graph.output("prediction", graph.linear("last", pair, last))
    return graph.bytes()


def joiner() -> bytes:
    """A label wins once its tone is two frames old, unless it was the last one."""
    graph = GraphAuthor("toy joiner")
    encoding = graph.input("encoding", [1, DIM])
    prediction = graph.input("prediction", [1, DIM])
    weights = np.zeros((len(TOKENS), 2 * DIM), np.float32)
    bias = np.zeros(len(TOKENS), np.float32)
    for label in LABEL.values():
        weights[label, label] = 20.0
        weights[label, DIM + label] = -40.0
        bias[label] = -12.0  # 20 x 0.6: one frame of a tone gives 0.5, two give 0.75
    both = graph.concat([encoding, prediction], 1)
    graph.output("logits", graph.linear("join", both, weights, bias))
    return graph.bytes()


def wake_word() -> bytes:
    """The score crosses 0.5 in the seventh frame of the wake tone: 1 - 0.8^7 is 0.79."""
    graph = GraphAuthor("toy wake word")
    frame = graph.input("frame", [1, FRAME_DIM])
    before = graph.input("state_s", [1, 1])
    heard = graph.sigmoid(
        graph.linear("detect", frame, _detector(FREQUENCIES["*"])[None], np.zeros(1, np.float32))
    )
    keep = graph.constant("keep", np.array([0.8], np.float32))
    take = graph.constant("take", np.array([0.2], np.float32))
    after = graph.add(graph.mul(keep, before), graph.mul(take, heard))
    graph.output("state_s.out", after)
    steep = graph.constant("steep", np.array([30.0], np.float32))
    middle = graph.constant("middle", np.array([0.76], np.float32))
    graph.output("score", graph.sigmoid(graph.mul(steep, graph.sub(after, middle))))
    return graph.bytes()
