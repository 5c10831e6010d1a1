"""The config file: defaults, and the one line that says what to mend."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.config import Config, load_config, parse_config, schema
from acquisition.errors import ConfigError

DOCS = Path(__file__).parent.parent / "docs" / "guiding.md"


def test_an_empty_file_guides_a_simulated_telescope(tmp_path):
    file = tmp_path / "empty.toml"
    file.write_text("")
    config = load_config(file)
    assert config == Config()
    assert config.camera.url == config.mount.url == "sim://"


def test_the_example_in_the_docs_is_valid():
    example = DOCS.read_text().split("```toml\n")[1].split("```")[0]
    config = parse_config(tomllib.loads(example))
    assert config.camera.settings().roi is not None
    assert config.dither.every_s == 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[camera]\nexposre_s = 2", r"unknown key 'exposre_s' in \[camera\]; known: url, exposure_s, gain,"),
        ("camra = 1", r"unknown key 'camra' in the file; known: camera, mount,"),
        ("[guiding.ra]\nlaw = 'hysteresis'\naggresion = 1", r"unknown key 'aggresion' in \[guiding.ra\]; known: law,"),
        ("[camera]\nexposure_s = -1", r"camera.exposure_s is -1: .*greater than or equal to 0"),
        ("[camera]\nexposure_s = nan", r"camera.exposure_s is nan: .*finite"),
        ("[camera]\nexposure_s = 'long'", r"camera.exposure_s is 'long': .*number"),
        ("[camera]\nroi = [1, 2, 3]", r"camera.roi"),
        ("[guiding.ra]\nlaw = 'magic'", r"guiding.ra.law is 'magic'; allowed: .*hysteresis"),
        (
            "[guiding.ra]\nlaw = 'hysteresis'\nparameters = { agression = 1 }",
            r"guiding.ra.parameters are .*agression.*; hysteresis knows: min_move, hysteresis, aggression",
        ),
        (
            "[guiding.ra]\nlaw = 'hysteresis'\nparameters = { aggression = 3 }",
            r"guiding.ra.parameters: hysteresis: aggression is 3.0; allowed: 0 to 2",
        ),
        ("[guiding.dec]\nlaw = 'hysteresis'\nmode = 'up'", r"guiding.dec.mode is 'up': .*'auto'"),
        ("[camera", r"not TOML: "),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(tmp_path, text, message):
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as failure:
        load_config(file)
    assert str(file) in str(failure.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"missing.toml' cannot be read: No such file"):
        load_config(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not text"):
        load_config(tmp_path / "binary")


keys = st.sampled_from(
    ["camera", "mount", "guiding", "ra", "dec", "law", "url", "exposure_s", "roi", "parameters", "x"]
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | keys | st.lists(st.integers(), max_size=4)
values = plain | st.dictionaries(keys, plain, max_size=4)


@given(st.dictionaries(keys, values | st.dictionaries(keys, values, max_size=4), max_size=5))
def test_whatever_is_in_the_file_it_is_a_config_or_a_config_error(tables):
    try:
        config = parse_config(tables)
    except ConfigError:
        return
    assert isinstance(config, Config)


def test_the_schema_names_every_table():
    assert set(schema()["properties"]) == set(Config.model_fields)
