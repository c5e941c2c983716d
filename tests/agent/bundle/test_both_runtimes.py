"""Both runtimes give the same answers, for the shipped bundle and for the bundle of tones.

Each runtime runs in a process of its own, the way a board has only one. Where both are installed in
this environment, or `VOICE_AGENT_TFLITE_PYTHON` names an interpreter that has the older one, the
outputs over 200 frames are compared.

The tolerance is 2 % of the root mean square of an output. Weights are the same integers on both,
but activations are quantised on the fly: LiteRT rounds them in one fused pass, tflite-runtime
operator by operator, so that single activations fall into neighbouring steps of 1/255 of their
range. Through recurrent layers this adds up to less than 1 % (1.5 % is what int8 itself costs); an
operator that is wrong in one runtime, as per-row scales are, gives more than 50 %.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from firmware_models import factory_bundle

_SECOND_PYTHON = os.environ.get("VOICE_AGENT_TFLITE_PYTHON")
_ROOT = Path(__file__).parents[3]
_FRAMES = 200
_TOLERANCE = 0.02

# Runs every .tflite file below a directory on one runtime; prints nothing, writes one .npz.
_SCRIPT = f"""
import sys
from pathlib import Path
import numpy as np
from agent.bundle.runtime import Model
outputs = {{}}
for path in sorted(Path(sys.argv[1]).rglob("*.tflite")):
    model = Model(path, backend=sys.argv[2])
    random = np.random.default_rng(7)
    rows = []
    for number in range({_FRAMES}):
        inputs = {{}}
        for name in sorted(model.inputs):
            shape = model.shape(name)
            if name == "labels":
                inputs[name] = random.integers(0, 6, shape).astype(np.int32)
            else:
                scale, middle = (3.0, -4.0) if name == "frame" else (0.5, 0.0)
                inputs[name] = (random.standard_normal(shape) * scale + middle).astype(np.float32)
        rows.append(np.concatenate([output.ravel() for output in model(**inputs)]))
    outputs[path.name] = np.stack(rows)
np.savez(sys.argv[3], **outputs)
"""


def _has(python: str, module: str) -> bool:
    probe = subprocess.run(
        [python, "-c", f"import {module}.interpreter"], capture_output=True, check=False
    )
    return probe.returncode == 0


def _older_runtime() -> str:
    python = _SECOND_PYTHON or sys.executable
    if not _has(python, "tflite_runtime"):
        pytest.skip(
            "tflite-runtime is not installed here; run in an environment made with"
            " `pip install '.[tflite-runtime,test]'`, or set VOICE_AGENT_TFLITE_PYTHON"
        )
    return python


def _outputs(python: str, backend: str, bundle: Path, file: Path) -> dict[str, np.ndarray]:
    subprocess.run(
        [python, "-c", _SCRIPT, str(bundle), backend, str(file)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    with np.load(file) as archive:
        return dict(archive)


def _compare(bundle: Path, folder: Path) -> dict[str, float]:
    older = _older_runtime()
    if not _has(sys.executable, "ai_edge_litert"):
        pytest.skip("LiteRT is not installed here")
    new = _outputs(sys.executable, "litert", bundle, folder / "litert.npz")
    old = _outputs(older, "tflite", bundle, folder / "tflite.npz")
    assert new.keys() == old.keys()
    assert new
    return {
        name: float(np.sqrt(np.mean((new[name] - old[name]) ** 2) / np.mean(new[name] ** 2)))
        for name in new
    }


def test_the_bundle_of_tones_on_both(toy_directory: Path, tmp_path: Path):
    assert max(_compare(toy_directory, tmp_path).values()) < _TOLERANCE


def test_the_shipped_bundle_on_both(tmp_path: Path):
    if not (factory_bundle() / "manifest.json").exists():
        pytest.skip("no bundle is in this tree")
    differences = _compare(factory_bundle(), tmp_path)
    assert max(differences.values()) < _TOLERANCE, json.dumps(differences)
