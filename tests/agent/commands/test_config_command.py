from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agent.cli import main
from agent.config import known_keys


def test_check_says_that_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check"]) == 0
    assert capsys.readouterr().out == "There is no configuration file; the defaults hold.\n"
    path = tmp_path / "c.toml"
    path.write_text('[mqtt]\nhost = "broker.lan"\n')
    assert main(["config", "check", "--config", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: ok\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[mqtt]\nhots = 'x'\n", "did you mean mqtt.host?"),
        ("[device]\nid = 'a/b'\n", "device.id"),
        ("[mqtt]\ntopic_prefix = '#'\n", "mqtt.topic_prefix"),
        ("[socket]\nallowed_users = ['nobody-here']\n", "socket.allowed_users"),
        ("[mqtt]\nhost = 'x'\ntls = true\nca_file = '/nothing'\n", "mqtt.ca_file"),
        ("[mqtt]\nhost = 'x'\npassword_file = '/nothing'\n", "mqtt.password_file"),
        ("[update]\nfleet = 'a'\n", "mqtt.host is not"),
        ("[mqtt]\nhost = 'x'\n[update]\nfleet = 'a/b'\n", "update.fleet"),
        ("[mqtt]\nhost = 'x'\n[update]\nfleet = 'a'\nhardware = 'Pi 4'\n", "update.hardware"),
        ("[mqtt]\nhost = 'x'\n[update]\nfleet = 'a'\n", "names no root metadata"),
        (
            "[mqtt]\nhost = 'x'\n[update]\nfleet = 'a'\nroot_file = '/nothing'\n",
            "update.root_file: /nothing cannot be read",
        ),
        ("[bundle]\noverlay = '/nothing'\n", "bundle.overlay: The overlay /nothing cannot be read"),
        ("[bundle]\noverlay = '/dev/null'\n", "bundle.overlay: /dev/null is not a regular file"),
    ],
)
def test_check_names_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    assert main(["config", "check", "--config", str(path)]) in (1, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


def test_default_and_show_are_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "default"]) == 0
    text = capsys.readouterr().out
    assert all(section == {} for section in tomllib.loads(text).values())
    path = tmp_path / "c.toml"
    path.write_text('[mqtt]\nhost = "broker.lan"\n')
    assert main(["config", "show", "--config", str(path)]) == 0
    shown = tomllib.loads(capsys.readouterr().out)
    assert shown["mqtt"]["host"] == "broker.lan"
    keys = {f"{section}.{key}" for section, values in shown.items() for key in values}
    words = ("threshold", "smoothing_frames", "refractory_seconds", "second_stage")
    unset = {f"wake.{key}" for key in words}
    assert keys == set(known_keys()) - unset
