"""Where somebody is heard in a lane, told from its waveform."""

from typing import Final

from callvault.audio.timeline import Bounds, joined

FLOOR: Final = 260
"""About -42 dBFS: above line noise and G.711's steps, below speech."""

_PAUSE_MS: Final = 300
"""A shorter silence belongs to the talk around it."""
_CLICK_MS: Final = 30
"""A shorter sound is a click."""


def talk(loud: Bounds, rate: int) -> Bounds:
    """Stretches above the floor, sorted, as stretches of talk: pauses for breath bridged, clicks left out."""
    bridged = joined(loud, apart=rate * _PAUSE_MS // 1000)
    return bridged[bridged[:, 1] - bridged[:, 0] >= rate * _CLICK_MS // 1000]
