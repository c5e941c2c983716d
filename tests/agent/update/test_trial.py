"""Releases on trial: real bundles with real faults, each in the process that a board gives it."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.bundle.manifest import load_bundle
from agent.errors import TrialError
from agent.hearing.features import FRAME_DIM
from agent.update.release import TrialLimits
from agent.update.selftest import FAILED, run
from agent.update.trial import try_bundle
from converters.export.authoring import GraphAuthor
from tests.agent.mqtt.broker import until
from tests.agent.toy_bundle import (
    DIM,
    FREQUENCIES,
    LABEL,
    TOKENS,
    _detector,
    write_toy_bundle,
    write_toy_manifest,
)

LIMITS = TrialLimits(latency_permille=3000)
_WASTE = 4096
_SIDE = 8192  # 8192 x 8192 float32 are 268 MB


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_bundle(tmp_path_factory.mktemp("trial") / "base")


@pytest.fixture
def changed(base: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the base with some files replaced, and a manifest that agrees."""

    def change(clips: int = 3, **files: bytes) -> Path:
        bundle = tmp_path / "new"
        shutil.copytree(base, bundle)
        for name, content in files.items():
            path = bundle / f"{name}.tflite"
            path.write_bytes(content)
        manifest = load_bundle(base).manifest
        write_toy_manifest(bundle, manifest.wake, (manifest.selftest * 2)[:clips])
        return bundle

    return change


def _encoder(spoil: Callable[[GraphAuthor, object], object]) -> bytes:
    """The toy's encoder, with something more in it that changes no result."""
    graph = GraphAuthor("toy encoder")
    frame = graph.input("frame", [1, FRAME_DIM])
    before = graph.input("state_h", [1, DIM])
    rows = np.zeros((DIM, FRAME_DIM), np.float32)
    bias = np.full(DIM, -20.0, np.float32)
    for letter, label in LABEL.items():
        rows[label] = _detector(FREQUENCIES[letter])
        bias[label] = 0.0
    heard = graph.sigmoid(graph.linear("detect", frame, rows, bias))
    half = graph.constant("half", np.array([0.5], np.float32))
    after = graph.add(graph.mul(half, before), graph.mul(half, heard))
    graph.output("state_h.out", after)
    nothing = graph.constant("nothing", np.zeros(1, np.float32))
    more = spoil(graph, frame)
    graph.output("encoding", graph.add(after, graph.mul(nothing, more)))  # type: ignore[arg-type]
    return graph.bytes()


def _waste_time(graph: GraphAuthor, frame: object) -> object:
    wide = np.full((_WASTE, FRAME_DIM), 0.01, np.float32)
    hidden = graph.linear("wide", frame, wide)  # type: ignore[arg-type]
    for number in range(3):
        square = np.full((_WASTE // 2, _WASTE if number == 0 else _WASTE // 2), 0.01, np.float32)
        hidden = graph.sigmoid(graph.linear(f"square{number}", hidden, square))
    return graph.linear("narrow", hidden, np.full((DIM, _WASTE // 2), 0.01, np.float32))


def _waste_memory(graph: GraphAuthor, frame: object) -> object:
    column = graph.constant("column", np.zeros((_SIDE, 1), np.float32))
    row = graph.constant("row", np.zeros((1, _SIDE), np.float32))
    return graph.slice("corner", graph.add(column, row), [0, 0], [1, DIM])


def test_a_release_like_the_bundle_in_use_passes(base: Path, changed: Callable[..., Path]) -> None:
    measured = run(load_bundle(base), load_bundle(base))
    assert (measured.errors, measured.words) == (0, 4)
    assert not any(clip.missed for clip in measured.clips)
    try_bundle(changed(), base, LIMITS)


def _joiner(weight: float) -> bytes:
    graph = GraphAuthor("toy joiner")
    encoding = graph.input("encoding", [1, DIM])
    prediction = graph.input("prediction", [1, DIM])
    weights = np.zeros((len(TOKENS), 2 * DIM), np.float32)
    for label in LABEL.values():
        weights[label, label] = weight
    both = graph.concat([encoding, prediction], 1)
    graph.output("logits", graph.linear("join", both, weights, np.zeros(len(TOKENS), np.float32)))
    return graph.bytes()


def test_one_that_understands_nothing_is_refused(base: Path, changed: Callable[..., Path]) -> None:
    with pytest.raises(TrialError, match=r"makes 8 word errors where the bundle in use makes 0"):
        try_bundle(changed(clips=6, joiner=_joiner(-20.0)), base, LIMITS)


def test_one_that_is_wrong_more_often_than_was_signed_is_refused(
    base: Path, changed: Callable[..., Path]
) -> None:
    limits = dataclasses.replace(LIMITS, word_error_permille=100)
    with pytest.raises(TrialError, match=r"4 of 4 words .* 100 of 1000 are allowed"):
        try_bundle(changed(joiner=_joiner(-20.0)), base, limits)


def test_one_that_is_slow_is_refused(base: Path, changed: Callable[..., Path]) -> None:
    slow = changed(encoder_slow=_encoder(_waste_time))
    with pytest.raises(TrialError, match=r"it computes .* s where the bundle in use computes"):
        try_bundle(slow, base, dataclasses.replace(LIMITS, latency_permille=2000))


def test_one_that_eats_memory_is_refused(base: Path, changed: Callable[..., Path]) -> None:
    greedy = changed(clips=1, encoder_slow=_encoder(_waste_memory))
    with pytest.raises(TrialError, match=r"of memory, and 256 MB are allowed"):
        try_bundle(greedy, base, dataclasses.replace(LIMITS, latency_permille=100_000))


def test_one_that_eats_more_than_the_board_has_hurts_nobody(
    base: Path, changed: Callable[..., Path]
) -> None:
    """The kernel refuses it the memory, whatever the runtime then makes of that."""
    greedy = changed(clips=1, encoder_slow=_encoder(_waste_memory))
    with pytest.raises(TrialError, match=r"The self-test (crashed|cannot run|ended with)"):
        try_bundle(greedy, base, dataclasses.replace(LIMITS, memory_mb=64))


def test_one_that_cannot_be_loaded_is_refused(base: Path, changed: Callable[..., Path]) -> None:
    broken = changed(encoder_slow=b"\x00" * 1000)
    with pytest.raises(TrialError, match=r"The self-test (cannot run|crashed|ended with)"):
        try_bundle(broken, base, LIMITS)
    (broken / "tokens.txt").write_text("other\n")
    with pytest.raises(TrialError, match="The release cannot be loaded"):
        try_bundle(broken, base, LIMITS)


def test_one_without_a_self_test_is_refused(base: Path, changed: Callable[..., Path]) -> None:
    silent = changed()
    write_toy_manifest(silent, load_bundle(base).manifest.wake)
    with pytest.raises(TrialError, match="has no self-test"):
        try_bundle(silent, base, LIMITS)


def test_what_the_bundle_in_use_cannot_hear_is_judged_by_the_limits_alone(
    base: Path, changed: Callable[..., Path], tmp_path: Path
) -> None:
    try_bundle(changed(), tmp_path / "nothing", LIMITS)


SCRIPTS = {
    "crashes": ("kill -SEGV $$", r"The self-test crashed \(SIGSEGV\): it said nothing"),
    "is killed": ("kill -KILL $$", r"crashed \(SIGKILL\)"),
    "complains": ("echo Oh no >&2; exit 1", "ended with exit status 1: Oh no"),
    "gives up": (
        f"echo a >&2; echo BundleError: b >&2; exit {FAILED}",
        "cannot run: BundleError: b",
    ),
    "says nothing": ("exit 0", "does not say what it measured"),
    "says nonsense": ("echo '{\"clips\": 7}'", "does not say what it measured"),
    "never ends": ("sleep 1000 & sleep 1000", "takes longer than the 1 s that it may"),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_whatever_its_process_does(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """In place of the self-test a program that behaves as badly as a process can."""
    script, message = SCRIPTS[what]
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/group\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(TrialError, match=message):
        try_bundle(base, base, dataclasses.replace(LIMITS, seconds=1))
    group = (tmp_path / "group").read_text().strip()
    until(lambda: not _living(group), "the end of everything it had started")


def _living(group: str) -> list[str]:
    """Processes of a group that are more than a name in a table."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, own_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if own_group == group and state != "Z":
            found.append(path.parent.name)
    return found
