"""*LRN?: the settings of the B1500A as the commands that would make them."""

from __future__ import annotations

from cimlab.mock_hw.instruments.b1500_measurement import Measurement
from cimlab.mock_hw.instruments.b1500_smu import SmuModule
from cimlab.mock_hw.instruments.b1500_spgu import Spgu
from cimlab.mock_hw.instruments.emulator import command
from cimlab.mock_hw.instruments.flex import VALUE, FlexError, Given

LEARN = {
    0: ("CN",),
    30: ("FL",),
    31: ("TM", "AV", "CM", "FMT", "MM"),
    32: ("RI",),
    33: ("WM", "WT", "WSV", "WV"),
    46: ("CMM",),
    47: ("ML", "MSC", "MT", "MV"),
    53: ("SSR",),
    54: ("RM",),
    55: ("AAD",),
    56: ("AIT", "AZ"),
    60: ("TSC",),
    110: ("PAD",),
}
"""Commands of each kind of *LRN?; kinds 1 to 10 are the slots."""


class LearnQuery:
    """The query, for the mainframe."""

    _smus: dict[int, SmuModule]
    _spgu: Spgu
    _xe: Measurement
    _stored: dict[str, int]
    _texts: dict[str, str]
    _averages: tuple[int, int]
    _adc: dict[int, tuple[int, float]]
    _format: int
    _sources: int

    @command("*LRN?")
    def _learn(self, name: str, given: Given) -> str:
        kind = given.integer(0, 0, 120)
        if kind in self._smus:
            return self._smus[kind].learn()
        if kind not in LEARN:
            raise FlexError(VALUE)
        return ";".join(text for word in LEARN[kind] for text in self._settings(word))

    def _settings(self, word: str) -> list[str]:
        """One command as *LRN? repeats it, once for each channel that has it."""
        smus = self._smus.values()
        if word in self._stored:
            return [f"{word}{self._stored[word]}"]
        if word in self._texts:
            return [f"{word}{self._texts[word]}"]
        if word in ("SSR", "AAD", "CMM", "RM"):
            return [f"{word}{m.channel},{m.flags[word]}" for m in smus]
        if word == "RI":
            return [f"R{q}{m.channel},{m.ranges[q]}" for m in smus for q in "IV"]
        if word == "CN":
            on = [n for n, m in self._smus.items() if m.smu.on]
            on += [n for n, c in self._spgu.channels.items() if c.on]
            return [f"CN{','.join(map(str, on))}" if on else "CL"]
        if word == "FL":
            states = {m.channel: m.flags["FL"] for m in smus}
            if not any(states.values()):
                return ["FL0"]
            named = {flag: [str(n) for n, f in states.items() if f == flag] for flag in (0, 1)}
            return [f"FL{flag},{','.join(n)}" for flag, n in named.items() if n]
        if word == "AV":
            return [f"AV{self._averages[0]},{self._averages[1]}"]
        if word == "AIT":
            return [f"AIT{kind},{mode},{n:g}" for kind, (mode, n) in self._adc.items()]
        if word == "FMT":
            return [f"FMT{self._format},{self._sources}"]
        if word == "MM":
            return [
                ",".join(map(str, [f"MM{self._xe.mode}", *(m.channel for m in self._xe.modules)]))
            ]
        if word == "MV":
            return [f"M{f.quantity}{n},{text}" for n, (_, f, text) in self._xe.biases.items()]
        sweep = self._xe.sweep if word == "WV" else self._xe.synchronous
        return [f"{word[:-1]}{sweep.start.quantity}{sweep.text}"] if sweep else []
