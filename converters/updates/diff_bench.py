"""Measures diffs: size against the entropy bound and against other tools, time, memory.

Times are CPU seconds (user and system) of one process with one compute thread; the least of some
runs, because other work on the machine only ever adds. Memory is what applying adds to the resident
memory of a fresh process that has imported everything, at its peak.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.update.diff_format import apply_diff
from converters.updates.changed_bundles import change, write_pseudo_model
from converters.updates.diff_maker import DiffReport, HashedDelta, make_diff
from converters.updates.matrices import find_matrices
from converters.updates.rivals import RIVALS, archive
from converters.updates.weights_writer import token_cost

SHARES = (0.005, 0.01, 0.02, 0.05, 0.1)
BUCKETS = (2048, 8192, 32768)

_RUNS = 5


@dataclass(frozen=True)
class Figures:
    """One line of the table."""

    model: str
    case: str
    bound: float
    """Bytes."""
    size: int
    """Bytes of the diff, with everything in it."""
    create: float
    """CPU seconds."""
    apply: float
    """CPU seconds."""
    memory: int
    """Bytes that applying adds."""
    rivals: dict[str, int | None]
    """Bytes, by tool."""

    @property
    def ratio(self) -> float:
        """Size over bound."""
        return self.size / self.bound


def measure(bundle: Path, shares: tuple[float, ...] = SHARES) -> Iterator[Figures]:
    """Measures every case, on the pseudo-model and on a bundle.

    Args:
        bundle: A real bundle.
        shares: Of changed weights.
    """
    with tempfile.TemporaryDirectory(prefix="diff-bench-") as name:
        folder = Path(name)
        pseudo = folder / "pseudo"
        write_pseudo_model(pseudo, seed=1)
        for label, base in (("pseudo", pseudo), (bundle.name, bundle)):
            for rows in (False, True):
                for share in shares:
                    new = folder / f"{label}-{rows}-{share}"
                    changed = change(base, new, share, rows=rows, seed=int(share * 1000) + rows)
                    case = f"{'rows' if rows else 'random'} {share:.1%}"
                    yield _figures(label, case, base, new, changed.bound)
        for buckets in BUCKETS:
            yield _hashed_figures(folder, pseudo, buckets)


def _figures(
    label: str,
    case: str,
    base: Path,
    new: Path,
    bound: float,
    hashed: HashedDelta | None = None,
) -> Figures:
    out = new.with_suffix(".diff")
    create, report = _least(lambda: make_diff(base, new, out, hashed=hashed, verify=False))
    runs = iter(range(_RUNS))

    def apply() -> None:
        with out.open("rb") as stream:
            apply_diff(stream, base, new.with_name(f"{new.name}.{next(runs)}"))

    spent, _ = _least(apply)
    old_archive, new_archive = archive(base), archive(new)
    rivals = {}
    if hashed is None:
        rivals = {name: rival(old_archive, new_archive) for name, rival in RIVALS.items()}
    assert isinstance(report, DiffReport)
    memory = added_memory(out, base, new.with_name(f"{new.name}.memory"))
    return Figures(label, case, bound, report.size, create, spent, memory, rivals)


def _hashed_figures(folder: Path, base: Path, buckets: int) -> Figures:
    """A model whose every weight is moved by one of some buckets."""
    generator = np.random.default_rng(buckets)
    values = np.clip(np.rint(generator.normal(0, 1.5, buckets)), -128, 127).astype(np.int8)
    delta = HashedDelta(seed=buckets, values=values, files=("model.tflite",))
    new = folder / f"hashed-{buckets}"
    write_hashed(base, new, delta)
    bound = token_cost(np.unique(values, return_counts=True)[1]) / 8
    return _figures("pseudo", f"hashed {buckets}", base, new, bound, delta)


def write_hashed(base: Path, new: Path, delta: HashedDelta) -> None:
    """Makes the bundle that a hashed diff alone leads to; files it does not name are left out."""
    from agent.update.hashed_diff import HashedChanges

    changes, first = HashedChanges(delta.seed, delta.values), 0
    for path in sorted(delta.files):
        content = np.frombuffer((base / path).read_bytes(), np.int8).copy()
        for matrix in find_matrices(base / path):
            weights = content[matrix.offset : matrix.end].astype(np.int16)
            changes.add(weights, first)
            first += len(weights)
            content[matrix.offset : matrix.end] = weights
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        (new / path).write_bytes(content.tobytes())


def _least(action: Callable[[], object]) -> tuple[float, object]:
    """CPU seconds of the quickest run, and what the last one returned."""
    least, returned = float("inf"), None
    for _ in range(_RUNS):
        begun = time.process_time()
        returned = action()
        least = min(least, time.process_time() - begun)
    return least, returned


_MEMORY_PROBE = """
import json, pathlib, sys
from agent.update.diff_format import apply_diff
def status(key):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))
pathlib.Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before = status("VmRSS")
with open(sys.argv[1], "rb") as stream:
    apply_diff(stream, pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
print(json.dumps(status("VmHWM") - before))
"""


def added_memory(diff: Path, base: Path, result: Path) -> int:
    """Bytes by which applying raises the peak of the resident memory of a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY_PROBE, str(diff), str(base), str(result)],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return int(json.loads(done.stdout))
