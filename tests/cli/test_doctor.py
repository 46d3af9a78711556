"""`cimlab doctor`."""

from pathlib import Path

from .support import cimlab, result


def test_the_machine_and_an_array_are_well(tmp_path: Path) -> None:
    data = result("doctor", "--station", "model:?tiles=1", cwd=tmp_path)
    assert data["healthy"]
    names = [check["name"] for check in data["checks"]]
    assert {"software", "VISA @py", "answers", "reads", "ramp", "Kirchhoff", "ground"} <= set(names)


def test_a_station_that_does_not_answer_is_named_with_advice(tmp_path: Path) -> None:
    done = cimlab("doctor", "--station", "tcp://127.0.0.1:9", cwd=tmp_path, code=3)
    assert "127.0.0.1:9" in done.stdout
    assert "1 of" in done.stdout
