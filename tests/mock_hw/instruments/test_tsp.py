"""Instruments that run Lua: real scripts, errors, and nothing of the host within reach."""

import pytest

from cimlab.mock_hw.instruments import EMULATORS, Bench, dut
from cimlab.mock_hw.instruments.tsp import TspEmulator

ALL = [name for name, kind in EMULATORS.items() if issubclass(kind, TspEmulator)]


@pytest.fixture(params=ALL)
def instrument(request):
    return EMULATORS[request.param](Bench(dut("open")))


def say(instrument, *lines):
    return b"".join(instrument.handle(line.encode()) for line in lines).decode()


def errors(instrument):
    found = []
    while (answer := say(instrument, "print(errorqueue.next())")).split("\t")[1] != (
        "Queue Is Empty"
    ):
        found.append(answer)
    return found


def test_it_runs_lua(instrument):
    assert say(instrument, "*IDN?").count(",") == 3
    assert say(instrument, "print(1/4, 'text', nil, true)") == "2.50000e-01\ttext\tnil\ttrue\n"
    assert say(instrument, "t = {} for k = 1, 3 do t[k] = k*k end print(t[3])") == "9.00000e+00\n"
    script = (
        "loadandrunscript",
        "for k = 1, 2 do",
        "  print(math.sqrt(k * k))",
        "end",
        "endscript",
    )
    assert say(instrument, *script) == "1.00000e+00\n2.00000e+00\n"
    assert say(instrument, "format.asciiprecision = 3 print(2/3)") == "6.67e-01\n"
    assert errors(instrument) == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("this is not lua", "-2.85"),
        ("nothing.there = 1", "-2.86"),
        ("format.colour = 1", "-2.86"),
        ("error('mine')", "-2.86"),
        ("*FOO", "-2.85"),
    ],
)
def test_mistakes_are_queued_and_do_no_more(instrument, line, code):
    assert say(instrument, line) == ""
    assert say(instrument, "print(errorqueue.count)") == "1.00000e+00\n"
    (found,) = errors(instrument)
    assert found.startswith(code)


@pytest.mark.parametrize(
    "line",
    [
        "print(os.getenv('HOME'))",
        "io.open('/etc/passwd')",
        "require('os')",
        "python.eval('1')",
        "print(localnode.__class__.__mro__)",
        "print(format.get.__globals__)",
        "print(delay.__self__)",
        "dofile('x')",
        "load_it = package.loadlib('x', 'y')",
    ],
)
def test_a_script_cannot_reach_the_host(instrument, line):
    assert say(instrument, line) == ""
    assert len(errors(instrument)) == 1


def test_names_stay_what_they_are_whatever_lua_collects(instrument):
    for _ in range(50):
        for name, value in (("localnode.model", instrument.model), ("localnode.version", "3.3.5")):
            assert say(instrument, f"garbage = {{}} print({name})") == f"{value}\n"
        assert say(instrument, "print(errorqueue.count)") == "0.00000e+00\n"
