"""The units promise what the README says, and systemd agrees."""

from __future__ import annotations

import configparser
import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config import load_config
from tests.agent.toy_bundle import tones, write_sound, write_toy_bundle

_ROOT = Path(__file__).parents[2]
_UNITS = {name: _ROOT / "systemd" / f"voice-agent-{name}.service" for name in ("listen", "link")}
_PROGRAM = "/opt/voice-agent/bin/voice-agent"
# Tenths; what systemd calls SAFE ends at 10 for the process without network. The rest of the
# other's is that it has a network at all. Both see users, because they check each other's.
_HIGHEST_EXPOSURE = {"listen": 7, "link": 13}

_needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here"
)


class _Unit(configparser.RawConfigParser):
    """A unit file; of keys given twice the last one holds, which is enough here."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, delimiters=("=",), interpolation=None)
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.read(path)


@pytest.fixture(params=_UNITS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@_needs_systemd
def test_systemd_accepts_the_unit(name: str, tmp_path: Path):
    # The program is not installed where the unit expects it: any executable stands in for it, and
    # both units lie side by side, because one wants the other.
    for path in _UNITS.values():
        text = path.read_text().replace(_PROGRAM, "/bin/true")
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / _UNITS[name].name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert _UNITS[name].name not in done.stderr


@_needs_systemd
def test_the_exposure_stays_low(name: str):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager",
         f"--threshold={_HIGHEST_EXPOSURE[name]}", str(_UNITS[name])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_process_that_hears_has_no_network():
    unit = _Unit(_UNITS["listen"])["Service"]
    assert unit["PrivateNetwork"] == "yes"
    assert unit["RestrictAddressFamilies"] == "AF_UNIX"
    assert unit["DeviceAllow"] == "char-alsa rw"
    assert unit["SupplementaryGroups"] == "audio"


def test_the_process_on_the_network_has_no_microphone():
    unit = _Unit(_UNITS["link"])["Service"]
    assert unit["PrivateDevices"] == "yes"
    assert "DeviceAllow" not in unit
    assert "SupplementaryGroups" not in unit


def test_the_users_and_folders_of_the_units_are_made():
    made = (_ROOT / "systemd" / "voice-agent.sysusers.conf").read_text().split()
    folders = (_ROOT / "systemd" / "voice-agent.tmpfiles.conf").read_text().split()
    for path in _UNITS.values():
        unit = _Unit(path)["Service"]
        assert unit["User"] in made
        assert unit["Group"] in made
    assert "/run/voice-agent" in folders
    assert _Unit(_UNITS["listen"])["Service"]["ReadWritePaths"] == "/run/voice-agent"


def test_the_example_configuration_is_valid_and_joins_the_two_users():
    config = load_config(_ROOT / "systemd" / "config.toml")
    assert config.socket.path == "/run/voice-agent/listen.sock"
    users = {_Unit(path)["Service"]["User"] for path in _UNITS.values()}
    assert set(config.socket.allowed_users) == users


@_needs_systemd
def test_the_users_can_be_created():
    program = shutil.which("systemd-sysusers")
    if program is None:
        pytest.skip("systemd-sysusers is not installed here")
    done = subprocess.run(
        [program, "--dry-run", str(_ROOT / "systemd" / "voice-agent.sysusers.conf")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _forbid_writable_code() -> None:
    """What MemoryDenyWriteExecute=yes asks of the kernel, for this process and its children."""
    pr_set_mdwe, refuse_exec_gain = 65, 1
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_mdwe, refuse_exec_gain, 0, 0, 0) != 0:
        os._exit(77)


def test_recognition_works_where_memory_cannot_become_code(tmp_path: Path):
    # LiteRT, NumPy, libsndfile and, for the second recording, soxr under MemoryDenyWriteExecute.
    bundle = write_toy_bundle(tmp_path / "toy")
    spoken = write_sound(tmp_path / "spoken.wav", tones("._*_ab a.."))
    other_rate = write_sound(tmp_path / "other_rate.wav", tones(".."), 44100)
    command = [sys.executable, "-m", "agent.cli", "transcribe", "--json", "--bundle", str(bundle)]
    done = subprocess.run(
        [*command, str(spoken), str(other_rate)],
        preexec_fn=_forbid_writable_code,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this kernel does not know PR_SET_MDWE (it came with Linux 6.3)")
    assert done.returncode == 0, done.stderr
    texts = [json.loads(line)["text"] for line in done.stdout.splitlines()]
    assert texts == ["ab a", ""]
