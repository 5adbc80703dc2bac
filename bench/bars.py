"""The bars: what a figure of a benchmark's table must reach, and whether it does."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Line = tuple[str, ...]
HEAD: Line = ("what", "ours", "peer", "ratio", "bar", "holds?")


def _value(found: re.Match[str]) -> float:
    return float(found["value"])


@dataclass(frozen=True)
class Bar:
    """`found` is looked for in the table, its lines' cells joined by bars: the group `value` is held to the bar; `ours`
    and `peer` are shown. Of several places the worst counts."""

    what: str
    bench: str
    found: str
    least: float | None = None
    most: float | None = None
    unit: str = ""
    figure: Callable[[re.Match[str]], float] = _value

    def verdict(self, lines: Iterable[Line]) -> Line:
        text = "\n" + "\n".join(" | ".join(line) for line in lines)
        places = list(re.finditer(self.found, text, re.DOTALL))
        if not places:
            return (self.what, "", "", "not measured", self._bar, "")
        worst = (min if self.least is not None else max)(places, key=self.figure)
        shown = worst.groupdict()
        value = self.figure(worst)
        cells = (shown.get("ours") or "", shown.get("peer") or "", f"{value:.2f}{self.unit}")
        return (self.what, *cells, self._bar, "yes" if self._holds(value) else "NO")

    @property
    def _bar(self) -> str:
        return f"≥ {self.least:g}{self.unit}" if self.least is not None else f"≤ {self.most:g}{self.unit}"

    def _holds(self, value: float) -> bool:
        return value >= self.least if self.least is not None else value <= (self.most or 0)


_CELL = r"(?P<ours>[^|\n]*) \| "
_RATIO = r"(?P<value>[\d.]+)"


def _whole(kind: str) -> list[Bar]:
    """Of the hour's WAV beside each of its peers."""
    line = rf"mono WAV of .*?\n{kind}, by the clock \| (?P<ours>[\d.]+)"
    peers = r".*?\npeers, by the clock \|  \| "
    return [
        Bar(
            f"mono WAV of 1 h, {kind}, beside ffmpeg",
            "assembly",
            rf"{line} \| {_RATIO}{peers}(?P<peer>[\d.]+)",
            least=5,
        ),
        Bar(
            f"mono WAV of 1 h, {kind}, beside sox",
            "assembly",
            rf"{line} \| [\d.]+ \| {_RATIO}{peers}[\d.]+ \| (?P<peer>[\d.]+)",
            least=15,
        ),
        Bar(
            f"mono WAV of 1 h, {kind}, in times of cp",
            "assembly",
            rf"{line} \| [\d.]+ \| [\d.]+ \| {_RATIO}{peers}[\d.]+ \| [\d.]+ \| (?P<peer>[\d.]+)",
            most=3,
            figure=lambda found: 1 / float(found["value"]),
        ),
    ]


def _durable(slower: str = "") -> list[Bar]:
    """Takes, beside the disk alone when each sync serves all callers."""
    found = rf"[^|,]*{slower} \| {_CELL}(?:[^|\n]*\| ){{3}}{_RATIO}"
    ways = {"in process": r"\ntakes by \d+ callers, ", "by HTTP": r"\ntakes by HTTP, "}
    return [Bar(f"takes of 32 kB, {way}{slower}", "takes", line + found, least=0.5) for way, line in ways.items()]


def _memory(kind: str) -> list[Bar]:
    both = rf"peak memory.*?\n{kind} \| (?P<ours>[\d.]+) \| (?P<value>[\d.]+)"
    return [
        Bar(f"peak memory over idle, long call, {kind}", "assembly", both, most=64, unit=" MiB"),
        Bar(
            f"more of it for the long call than for 1 h, {kind}",
            "assembly",
            both,
            most=4,
            unit=" MiB",
            figure=lambda found: float(found["value"]) - float(found["ours"]),
        ),
    ]


def _first_byte(kind: str) -> list[Bar]:
    line = rf"first byte of a 4 h .*?\n{kind} \| (?P<peer>[\d.]+) \| "
    return [
        Bar(f"first byte of minute 235, {kind}", "assembly", rf"{line}(?P<value>[\d.]+)", most=25, unit=" ms"),
        Bar(
            f"minute 235 beside minute 1, {kind}",
            "assembly",
            rf"{line}(?P<ours>[\d.]+) \| {_RATIO}",
            most=2,
        ),
    ]


def _linked(name: str) -> list[Bar]:
    line = rf"\n{name} \| [^|]*\| (?P<ours>\d+) \| [^|]*\| [^|]*\| "
    return [Bar(f"{name}, beside a constant", "redirect", rf"{line}{_RATIO}", least=0.5)]


_LIVE = r"\n(?P<ours>\d+) two-lane G.711 calls for [^|]*moved to storage \| "
_PAGES_P50 = r"\n[^|\n]*, (?:first page|deep) \| (?P<value>[\d.]+) ms"
_PAGES = r"\n[^|\n]*, (?:first page|deep) \| (?P<ours>[^|\n]*) \| (?P<value>[\d.]+) ms"

BARS = (
    Bar("a filtered page of 1 000 000 recordings, median", "store", _PAGES_P50, most=20, unit=" ms"),
    Bar("a filtered page of 1 000 000 recordings, p99", "store", _PAGES, most=20, unit=" ms"),
    Bar("sealing", "sealing", rf"\nseal \| {_CELL}{_RATIO}", least=0.8),
    Bar("unsealing", "sealing", rf"\nopen \| {_CELL}{_RATIO}", least=0.8),
    Bar(
        "key check and point read over HTTP",
        "http",
        rf"\nkey check and point read \|[^|]*\| {_CELL}{_RATIO}",
        least=0.6,
    ),
    Bar(
        "callvault --help", "http", r"\ncallvault --help \|[^|]*\| (?P<value>[\d.]+) s of CPU", most=0.3, unit=" s CPU"
    ),
    *_linked("Vapi: 302 of a mono recording"),
    *_linked("OSVI: JSON of a recording"),
    *_linked("Gravity Rail: JSON of a recording"),
    *_whole("unsealed"),
    *_whole("sealed"),
    *_memory("unsealed"),
    *_memory("sealed"),
    *_first_byte("unsealed"),
    *_first_byte("sealed"),
    Bar("mp3 of 1 h beside ffmpeg", "assembly", rf"\nfrom takes \| {_CELL}(?P<peer>[\d.]+) \| {_RATIO}", least=0.95),
    Bar("download, unsealed, beside nginx", "download", rf"\nunsealed \| {_CELL}[^|]*\| [^|]*\| {_RATIO}", least=0.7),
    Bar("download, sealed, beside the lesser", "download", rf"\nsealed \| {_CELL}[^|]*\| [^|]*\| {_RATIO}", least=0.7),
    Bar(
        "live calls: whole of those begun",
        "live",
        rf"{_LIVE}.*?(?P<whole>\d+) of (?P<all>\d+) whole",
        least=1,
        figure=lambda found: int(found["whole"]) / int(found["all"]),
    ),
    Bar("live calls: durable after", "live", rf"{_LIVE}[^|]*durable after (?P<value>[\d.]+) s", most=1, unit=" s"),
    Bar("live calls: of one core", "live", rf"{_LIVE}[^|]*?(?P<value>\d+)% of a core", most=100, unit=" %"),
    *_durable(),
    *_durable(", 4 ms slower"),
)
