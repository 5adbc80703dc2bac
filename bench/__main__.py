"""All benchmarks, one after the other, each with its table and with the bars that its figures are held to.

python -m bench [--quick] [NAME...]
"""

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence

from bench.bars import BARS, HEAD, Line

SIZES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "sealing": ((), (64,)),
    "store": ((), (50_000,)),
    "http": ((), (3,)),
    "redirect": ((), (2_000, 3)),
    "download": ((), (20,)),
    "assembly": ((), (1,)),
    "takes": ((), (1,)),
    "live": ((), (50,)),
    "wire": ((), ()),
    "codecs": ((600,), (60,)),
}
"""What each benchmark is run with, and what makes it a short one. Those with bars come first."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *SIZES], metavar="NAME", help=", ".join(SIZES))
    parser.add_argument("--quick", action="store_true", help="smaller sizes; bars are for the full ones")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.json:
        print(json.dumps(_lines(asked.names[0], asked.quick)))
        return
    verdicts: list[Line] = []
    for name in asked.names or SIZES:
        print(f"\n== {name} ==\n", flush=True)
        verdicts += _measured(name, asked.quick)
    print("\n== bars ==\n\n" + table([HEAD, *verdicts]))


def _measured(name: str, quick: bool) -> list[Line]:
    """Prints the table of one benchmark, which has a process of its own, and gives what becomes of its bars."""
    command = [sys.executable, "-m", "bench", name, "--json", *(["--quick"] if quick else [])]
    began = time.monotonic()
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    lines: list[Line] = []
    if done.returncode == 0:
        lines = [tuple(line) for line in json.loads(done.stdout.splitlines()[-1])]
        print(f"{table(lines)}\n({time.monotonic() - began:.0f} s)", flush=True)
    else:
        print("it broke off", flush=True)
    return [bar.verdict(lines) for bar in BARS if bar.bench == name]


def _lines(name: str, quick: bool) -> list[Line]:
    run = importlib.import_module(f"bench.{name}").run
    lines: list[Line] = run(*SIZES[name][quick])
    return lines


def table(lines: Sequence[Line]) -> str:
    """In Markdown, whose first line heads it; one of other lines that has more cells than it gets them headed empty."""
    width = max((len(line) for line in lines), default=0)
    full = [[*line, *[""] * (width - len(line))] for line in lines]
    widths = [max(len(row[n]) for row in full) for n in range(width)]
    rows = ["| " + " | ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)) + " |" for row in full]
    return "\n".join([*rows[:1], "|" + "|".join("-" * (size + 2) for size in widths) + "|", *rows[1:]])


if __name__ == "__main__":
    main()
