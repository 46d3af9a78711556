"""Rows of faults, limits, crashes and hostile input (docs/reliability.md)."""

from __future__ import annotations

from rows.lenet import faults
from rows.row import Figures, Row


def _once(f: Figures) -> str:
    struck = ", ".join(f"{n:,} {what}" for what, n in sorted(f["struck"].items()))
    return (
        f"**{f['lost']} lost, {f['doubled']} doubled** of {f['pulses']:,} pulses in "
        f"{f['requests']:,} requests; struck: {struck}; {f['retries']:,} repeats, "
        f"{f['reconnects']} reconnections"
    )


def _limits(f: Figures) -> str:
    return (
        f"**{f['refused_by_host']:,} of {f['plans']:,}** refused, {f['bytes_sent']} bytes sent; "
        f"past the guard the board refused {f['refused_past_the_guard']:,}; "
        f"{f['pulses_on_the_board']} pulses"
    )


def _kills(f: Figures) -> str:
    n = f["times"]
    return (
        f"{f['opens']} of {n} files open, {f['kept']} kept every record seen, {f['finishes']} runs "
        f"finished, record and counters agree for every cell in {f['agrees']}"
    )


def _fuzz(f: Figures) -> str:
    return (
        f"**{f['crashes']} crashes, {f['hangs']} hangs** in {f['items']:,} items "
        f"({f['refused']:,} calls refused); slowest {f['slowest_s']:.2g} s, memory grown "
        f"{f['memory_grown_MB']:.0f} MB in the last four fifths"
    )


def _hostile(topic: str, items: int, what: str) -> Row:
    return Row(
        f"hostile input: {what}",
        f"{items:,}: 0 crashes, 0 hangs, memory bounded",
        "-",
        f"python benchmarks/fuzz.py {topic} --items {items}",
        _fuzz,
    )


def _soak(f: Figures) -> str:
    sizes = "; ".join(
        f"{name} {t['rss_MB']:.0f} MB, {t['slope_MB_per_hour']:+.1f} MB/h, grown "
        f"{t['grown_MB']:+.1f} MB, files {t['files'][0]:g} to {t['files'][1]:g}, threads "
        f"{t['threads'][0]:g} to {t['threads'][1]:g}"
        for name, t in f["processes"].items()
        if t
    )
    return (
        f"**{'passed' if f['passed'] else 'not passed'}** after {60 * f['hours']:.0f} min and "
        f"{f['rounds']} trainings: {f['pulses_differ']} cells counted otherwise by host and board, "
        f"{f['record_differs']} otherwise by record and board; {f['requests']:,} requests, "
        f"{f['retries']:,} repeats, {f['reconnects']} reconnections; {sizes}"
        + "".join(f"; {leak}" for leak in f["leaks"])
    )


def _grounded(f: Figures) -> str:
    times = "; ".join(
        f"{what} {f[scene]['least']:.2f} to **{f[scene]['most']:.2f} s**"
        for scene, what in (
            ("host", "host killed"),
            ("link", "link silent"),
            ("gui", "window killed"),
            ("bench", "bench's host killed, by the minder"),
        )
    )
    return f"{f['times']} times each: {times}; the board's watchdog is {f['watchdog']:g} s"


ROWS: dict[str, Row] = {
    "once": Row(
        "pulses over a link with 5 % of frames dropped, 5 % damaged, 5 % doubled, random resets",
        "10^6: 0 lost, 0 doubled",
        "10^7",
        "python benchmarks/exactly_once.py --pulses 1000000",
        _once,
    ),
    "faults-reset": Row(
        "a training under the same faults, against one without a link",
        "same weights and conductances bit for bit",
        "-",
        "python benchmarks/faulty_link.py --rate 0.05 --reset 0.001 --epochs 1",
        faults,
    ),
    "beyond": Row(
        "plans beyond limits, generated at random",
        "10^4 of 10^4 refused before the wire; the board refuses when bypassed",
        "-",
        "python benchmarks/limits.py --plans 10000",
        _limits,
    ),
    "kill-host": Row(
        "SIGKILL of the host at random moments of a training, each resumed",
        "50 of 50",
        "200",
        "python benchmarks/kill_study.py --victim host --times 50",
        _kills,
    ),
    "kill-board": Row(
        "SIGKILL of the board at random moments, restarted from its state",
        "50 of 50",
        "200",
        "python benchmarks/kill_study.py --victim board --times 50",
        _kills,
    ),
    "fuzz-board": _hostile("frames-to-board", 1_000_000, "frames to the board"),
    "fuzz-host": _hostile("frames-to-host", 1_000_000, "frames to the host"),
    "fuzz-instruments": _hostile(
        "instruments", 100_000, "messages to the emulated instruments (SCPI, TSP, KXCI)"
    ),
    "fuzz-toml": _hostile("toml", 10_000, "station and device files"),
    "fuzz-hdf5": _hostile("hdf5", 10_000, "run files, cut off or changed"),
    "grounded": Row(
        "host, link or window dies while cells are pulsed: time until the lines are grounded",
        "within the watchdog time",
        "-",
        "python benchmarks/grounded.py --times 10",
        _grounded,
    ),
    "soak-short": Row(
        "ten minutes of trainings with faults, a window following, records on",
        "flat memory, no leak of files or threads, no pulse lost or doubled",
        "-",
        "cimlab soak --hours 0.17 --faults 0.05 --batches 30 --gui --json --out runs/soak",
        _soak,
    ),
    "soak": Row(
        "the same for two hours",
        "flat memory, no leak of files or threads, no pulse lost or doubled",
        "24 h",
        "cimlab soak --hours 2 --faults 0.05 --batches 100 --gui --json --out runs/soak",
        _soak,
    ),
}
