"""What records keep of a station."""

from pathlib import Path

import pytest

from cimlab.cli import files
from cimlab.core.errors import ConfigError
from cimlab.core.station import load_station

DEVICE = '# mine\nmodel = "brram"\n'


@pytest.mark.parametrize(
    "station", ["model:{}", "mock:{}", "bench:?dut={}", "bench:?dut=crossbar:2x3:{}"]
)
def test_a_device_file_is_kept_whole(station: str, tmp_path: Path) -> None:
    device = tmp_path / "device.toml"
    device.write_text(DEVICE)
    given = load_station(station.format(device))
    facts = files.station_facts(given)
    assert facts["device_file"] == DEVICE
    again = files.recorded_station(facts)
    assert again == given
    device.unlink()
    with pytest.raises(ConfigError, match=r"device\.toml"):
        files.station_facts(given)


@pytest.mark.parametrize(
    "station", ["model:", "model:?device=pcm", "bench:", "tcp://host:5000?token=x"]
)
def test_other_stations_have_none(station: str) -> None:
    facts = files.station_facts(load_station(station))
    assert facts.keys() == {"text", "connection", "limits", "converters"}
    assert "token" not in facts["connection"]
