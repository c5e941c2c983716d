"""How often a trial refuses a release that recognises worse, on the self-test that ships.

    python -m tests.system.updates.measure_trials           prints the table; takes a minute

Noise is added to all weights of the shipped bundle, more and more of it. Each such bundle and the
one that ships recognise the same self-test. What a trial would say of other recordings like these
is told by drawing them with replacement, 2000 times for each pair, and asking the verdict.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

import numpy as np

from agent.bundle.manifest import load_bundle
from agent.update.release import TrialLimits
from agent.update.selftest import Clip, Measured, run
from agent.update.verdict import objection
from converters.updates.changed_bundles import _renew_manifest
from converters.updates.matrices import find_matrices
from firmware_models import factory_bundle

_NOISE = (2, 3, 4, 6, 8, 9, 10, 12)  # standard deviations, in steps of the int8 weights
_SEEDS = (1, 2, 3)
_DRAWS = 2000


def refused_share(new: Measured, base: Measured, seed: int = 1) -> float:
    """Share of drawn self-tests on which the verdict refuses.

    Args:
        new: The release.
        base: The bundle in use, on the same recordings.
        seed: Of the draws.
    """
    chance = random.Random(seed)
    own = load_bundle(factory_bundle()).manifest.trial
    refused = 0
    for _ in range(_DRAWS):
        chosen = chance.choices(range(len(base.clips)), k=len(base.clips))
        drawn = [_of([each.clips[i] for i in chosen]) for each in (new, base)]
        refused += objection(*drawn, signed=TrialLimits(), own=own) is not None
    return refused / _DRAWS


def write_noisy(bundle: Path, noise: float, seed: int) -> None:
    """Copies the bundle that ships and adds noise to its weights.

    Args:
        bundle: Where to.
        noise: Standard deviation, in steps.
        seed: Of the noise.
    """
    generator = np.random.default_rng(seed)
    shutil.copytree(factory_bundle(), bundle)
    for path in sorted(bundle.rglob("*.tflite")):
        content = np.frombuffer(path.read_bytes(), np.int8).copy()
        for matrix in find_matrices(path):
            weights = content[matrix.offset : matrix.end]
            noisy = weights + generator.normal(0, noise, len(weights))
            content[matrix.offset : matrix.end] = np.clip(np.rint(noisy), -127, 127)
        path.write_bytes(content.tobytes())
    _renew_manifest(bundle)


def _of(clips: list[Clip]) -> Measured:
    return Measured(clips=tuple(clips), cpu_s=1.0, audio_s=1.0, peak_mb=1)


def main() -> None:
    """Prints the table."""
    shipped = load_bundle(factory_bundle())
    base = run(shipped, shipped)
    print(f"The bundle that ships: {base.errors} of {base.words} words wrong on its self-test.\n")
    print("| Noise | Word errors | Relative | Refused |\n|---|---|---|---|")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for noise in _NOISE:
            for seed in _SEEDS:
                bundle = Path(name) / f"{noise}-{seed}"
                write_noisy(bundle, noise, seed)
                new = run(load_bundle(bundle), shipped)
                rows.append((new.errors / base.errors - 1, noise, new, refused_share(new, base)))
    for worse, noise, new, refused in sorted(rows, key=lambda row: row[0]):
        errors = f"{new.errors} of {new.words}"
        print(f"| {noise} | {errors} | {100 * worse:+.1f} % | {100 * refused:.0f} % |")


if __name__ == "__main__":
    main()
