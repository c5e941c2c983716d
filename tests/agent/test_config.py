from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Config, find_config, known_keys, load_config, read_password
from agent.config_file import as_toml
from agent.errors import ConfigError


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_without_a_file_the_defaults_hold_and_nobody_is_contacted() -> None:
    config = load_config()
    assert config == Config()
    assert config.mqtt.host == ""


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [mqtt]
        host = "broker.lan"
        inflight = 4
        [wake]
        threshold = 1        # a whole number is a number
        [socket]
        allowed_users = ["alice", "1001"]
        """,
    )
    config = load_config(path)
    assert (config.mqtt.host, config.mqtt.inflight) == ("broker.lan", 4)
    assert config.wake.threshold == 1.0
    assert config.socket.allowed_users == ("alice", "1001")
    assert dataclasses.replace(config, mqtt=Config().mqtt).audio == Config().audio


def test_the_file_named_wins_then_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    mine = tmp_path / "voice-agent" / "config.toml"
    mine.parent.mkdir()
    mine.write_text('[device]\nid = "mine"\n')
    assert find_config() == mine
    assert load_config().device.id == "mine"
    named = write(tmp_path, '[device]\nid = "named"\n')
    assert load_config(named).device.id == "named"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[mqqt]\n", ["mqqt", "did you mean mqtt?"]),
        ('[mqtt]\nhots = "x"\n', ["mqtt.hots", "did you mean mqtt.host?"]),
        ('host = "x"\n', ["host", "did you mean mqtt.host?"]),
        ('[audio]\nhost = "x"\n', ["audio.host", "did you mean mqtt.host?"]),
        ("[mqtt]\nport = '1883'\n", ["mqtt.port", "must be a whole number, not '1883'"]),
        ("[mqtt]\nport = 70000\n", ["mqtt.port", "must be at most 65535, not 70000"]),
        ("[mqtt]\ntls = 1\n", ["mqtt.tls", "must be true or false, not 1"]),
        ("[wake]\nthreshold = 1.5\n", ["wake.threshold", "must be at most 1.0"]),
        ("[wake]\nthreshold = nan\n", ["wake.threshold", "must be a number"]),
        ("[socket]\nallowed_users = 'me'\n", ["socket.allowed_users", "must be a list"]),
        ("mqtt = 5\n", ["mqtt", "must be a table, not 5"]),
        ("[mqtt\n", ["not a TOML file"]),
        (b"\xff\xfe", ["not a TOML file"]),
        (
            "[mqtt]\nreconnect_min_seconds = 200.0\n",
            ["mqtt.reconnect_min_seconds must not exceed mqtt.reconnect_max_seconds"],
        ),
        ("[mqtt]\nkey_file = 'x'\n", ["mqtt.certificate_file and mqtt.key_file go together"]),
        ("# " + "x" * 300_000, ["longer than 262144 bytes"]),
    ],
)
def test_mistakes_are_named_with_file_key_and_what_is_allowed(
    tmp_path: Path, text: str | bytes, words: list[str]
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message or "TOML" in message
    for word in words:
        assert word in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read"):
        load_config(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_configuration_or_its_error(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    path = write(tmp_path_factory.getbasetemp(), text)
    try:
        load_config(path)
    except ConfigError:
        return


def test_default_file_is_valid_and_changes_nothing(tmp_path: Path) -> None:
    text = as_toml(Config(), commented=True)
    assert load_config(write(tmp_path, text)) == Config()
    for key in known_keys():
        assert key.partition(".")[2] in text


def test_what_is_shown_can_be_read_again(tmp_path: Path) -> None:
    config = dataclasses.replace(
        Config(),
        device=dataclasses.replace(Config().device, id='a "quoted" \\ nämé\x7f\n'),
        wake=dataclasses.replace(Config().wake, threshold=0.25),
        socket=dataclasses.replace(Config().socket, allowed_users=("a", "b")),
    )
    assert load_config(write(tmp_path, as_toml(config, commented=False))) == config


def test_no_key_can_hold_a_secret() -> None:
    assert not [key for key in known_keys() if key.endswith(("password", "token", "secret"))]


def test_every_number_has_its_unit_in_its_name() -> None:
    units = ("_seconds", "_frames", "_bytes", "_results", "bytes_per_second")
    dimensionless = {
        "wake.threshold", "wake.second_stage", "keep.above", "mqtt.port", "mqtt.inflight",
    }  # fmt: skip
    for section in dataclasses.fields(Config):
        values = getattr(Config(), section.name)
        for key in dataclasses.fields(values):
            if str(key.type).startswith(("int", "float")):
                name = f"{section.name}.{key.name}"
                assert name in dimensionless or name.endswith(units), name


def test_password_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config().mqtt
    assert read_password(config) is None
    secret = tmp_path / "secret"
    secret.write_text("from file\n")
    config = dataclasses.replace(config, password_file=str(secret))
    assert read_password(config) == "from file"
    monkeypatch.setenv("VOICE_AGENT_MQTT_PASSWORD", "from environment")
    assert read_password(config) == "from environment"


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    config = dataclasses.replace(Config().mqtt, password_file=str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match=r"mqtt\.password_file: .*nothing cannot be read"):
        read_password(config)
