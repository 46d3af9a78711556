"""The [bench] tables of emulated benches."""

from cimlab.core.bench import BenchTable

ROWS, COLS = 3, 4


def table(server, smu="keithley2450", pulser="keysight81160a", matrix=None, bias=False, **more):
    """The [bench] table of a server's instruments; the bias is a 2400."""
    parts = {"smu": smu, "pulser": pulser, "matrix": matrix}
    if bias:
        parts["bias"] = "keithley2400:bias"
    described = {
        role: {"driver": name.removesuffix(":bias"), "resource": server.resources[name]}
        for role, name in parts.items()
        if name
    }
    if matrix:
        wiring = {"rows": range(1, ROWS + 1), "cols": range(ROWS + 1, ROWS + COLS + 1)}
        described["wiring"] = wiring | more.pop("wiring", {})
    return BenchTable(**described, **more, origin="emulated")
