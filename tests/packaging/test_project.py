"""The Makefile, the CI entry and the changelog agree with the rest of the project."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_TARGETS = {"run", "test", "test-slow", "bench", "check"}


def test_make_alone_lists_the_targets():
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    listed = set(re.findall(r"^make ([a-z-]+)", done.stdout, re.MULTILINE))
    assert listed >= _TARGETS
    assert listed <= set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))


def test_continuous_integration_runs_what_developers_run():
    script = _ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if not line.startswith("#")]
    assert commands[-1] == "exec make test"


def test_the_version_has_a_changelog_section():
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    sections = re.findall(r"^## \[?([\w.]+)", (_ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert version in sections
