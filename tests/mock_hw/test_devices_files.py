"""Device files: written and read without loss, and never believed."""

import dataclasses
import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices import MODELS, device, read_device, write_device
from cimlab.mock_hw.devices import files as files_module
from cimlab.mock_hw.devices.presets import PRESETS
from tests.mock_hw.devices import make

texts = st.text(st.characters(codec="utf-8"), max_size=30)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = finite | st.integers(-(2**60), 2**60) | texts


@pytest.mark.parametrize("name", [*sorted(MODELS), *sorted(PRESETS)])
def test_a_device_comes_back_as_it_was(name, tmp_path):
    model = make(name)
    write_device(tmp_path / "d.toml", model)
    assert device(str(tmp_path / "d.toml")) == model
    assert read_device(tmp_path / "d.toml").errors == {}


@given(
    st.floats(1e-9, 1e-3),
    st.dictionaries(st.sampled_from(["g_max", "c2c", "a_ltp"]), st.floats(0, 1e3)),
    st.dictionaries(texts, scalars | st.lists(scalars, max_size=4), max_size=4),
)
def test_numbers_errors_and_notes_come_back_as_they_were(tmp_path_factory, g_min, errors, fit):
    path = tmp_path_factory.mktemp("devices") / "d.toml"
    model = device("exponential", g_min=g_min, g_max=g_min * 7.3)
    write_device(path, model, errors, fit)
    back = read_device(path)
    assert back.model == model
    assert back.errors == errors
    assert back.fit == fit


def test_a_file_gives_parameters_and_arguments_replace_them(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('model = "brram"\nc2c = 0.1\nslope_set = 0.3\n')
    assert device(str(file), slope_set=0.25) == device("brram", c2c=0.1, slope_set=0.25)
    file.write_text('model = "exponential:pcmo"\nc2c = 0\n')
    assert device(str(file)) == device("exponential:pcmo", c2c=0.0)


JUMPS = (
    "[[jumps]]\nv = 2.0\ng = [1e-6]\ndg = [1e-6]\n[[jumps]]\nv = -2.0\ng = [1e-6]\ndg = [1e-6]\n"
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("c2c = 0.1", 'needs a line such as model = "brram"'),
        ('model = "other.toml"', "needs a line"),
        ("model = 3", "needs a line"),
        ("not toml", "Expected"),
        ('model = "brrram"', "did you mean 'brram'"),
        ('model = "brram"\nslope_st = 1.0', "did you mean 'slope_set'"),
        ('model = "brram"\nc2c = nan', "c2c must be finite"),
        ('model = "brram"\nc2c = 1e999', "c2c must be finite"),
        (f'model = "brram"\nc2c = 1{"0" * 400}', "c2c must be finite"),
        (f'model = "brram"\nc2c = {"9" * 10_000}', "4300"),
        ('model = "brram"\nc2c = "0.1"', "c2c must be a number"),
        ('model = "brram"\nc2c = true', "c2c must be a number"),
        ('model = "brram"\nc2c = [0.1]', "c2c must be a number"),
        ('model = "brram"\n[c2c]\nx = 1', "c2c must be a number"),
        ('model = "brram"\nx = ' + "[" * 3000, "device file"),
        ('model = "brram"\ng_min = -1e-6', "g_min must be a finite number > 0"),
        ('model = "brram"\nerrors = 3', r"\[errors\] must be a table"),
        ('model = "brram"\n[errors]\nc2c = 0.1', "belongs to no parameter of the file"),
        ('model = "brram"\nc2c = 0.1\n[errors]\nc2c = -0.1', "must not be negative"),
        ('model = "brram"\nc2c = 0.1\n[errors]\nc2c = nan', "must be finite"),
        ('model = "brram"\n[fit]\naic = inf', "aic must be finite"),
        ('model = "brram"\n[fit]\nat = 2026-01-01', "at must be a number"),
        ('model = "brram"\n[fit.deep]\nx = 1', "deep must be a number"),
        (f'model = "brram"\n[fit]\nruns = {[1] * 1001}', "more than 1000 entries"),
        ('model = "brram"\n[fit]\n' + "".join(f"k{i} = 1\n" for i in range(1001)), "1000 entries"),
        (f'model = "brram"\n[fit]\nrun = "{"x" * 10_001}"', "longer than"),
        ('model = "replay"', "needs jumps"),
        ('model = "replay"\njumps = 3', "jumps must be tables"),
        ('model = "replay"\njumps = [3]', "jumps must be tables"),
        ('model = "replay"\n' + JUMPS.replace("dg", "gd"), "missing or unknown: dg, gd"),
        ('model = "replay"\n' + JUMPS.replace("[1e-6]", "1e-6"), "g must be a list"),
        ('model = "replay"\n' + JUMPS.replace("[1e-6]", "['x']"), "g must be a number"),
        ('model = "replay"\n' + JUMPS.replace("[1e-6]", "[nan]"), "g must be finite"),
        ('model = "replay"\n' + JUMPS.replace("2.0", "3.0", 1).replace("-2", "3"), "one for RESET"),
        ('model = "brram"\n' + JUMPS, "unknown parameter 'jumps'"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, complaint):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        device(str(file))
    assert "mine.toml" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_missing_binary_and_huge_files_are_refused_by_name(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        device("nowhere.toml")
    file = tmp_path / "mine.toml"
    file.write_bytes(b'model = "\xff"')
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        device(str(file))
    monkeypatch.setattr(files_module, "BYTES_MOST", 1 << 20)
    file.write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match=r"mine\.toml: larger than 1 MB"):
        device(str(file))


@pytest.mark.parametrize(
    ("errors", "fit"),
    [
        ({"zzz": 1.0}, {}),
        ({"c2c": math.nan}, {}),
        ({"c2c": -1.0}, {}),
        ({}, {"x": math.inf}),
        ({}, {"x": None}),
        ({}, {"x": {"y": 1}}),
        ({}, {"x": [1] * 1001}),
        ({}, {"x": "\ud800"}),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, errors, fit):
    path = tmp_path / "d.toml"
    write_device(path, device("brram"))
    before = path.read_bytes()
    with pytest.raises(ConfigError):
        write_device(path, device("brram", c2c=0.5), errors, fit)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["d.toml"]


def test_only_toml_files_in_folders_that_exist_are_written(tmp_path):
    with pytest.raises(ConfigError, match="must end in .toml"):
        write_device(tmp_path / "d.json", device("brram"))
    with pytest.raises(ConfigError, match="cannot write the device file"):
        write_device(tmp_path / "nowhere" / "d.toml", device("brram"))


def test_every_parameter_is_in_the_file(tmp_path):
    """A file stays what it is when a default of a later version changes."""
    for name in sorted(MODELS):
        write_device(tmp_path / "d.toml", make(name))
        written = tomllib.loads((tmp_path / "d.toml").read_text(encoding="utf-8"))
        assert set(written) == {"model", *(f.name for f in dataclasses.fields(MODELS[name]))}
