"""Samples from the codings in which each sample stands alone."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callvault.wire.g711 import decode_alaw, decode_ulaw

Samples = NDArray[np.int16]

DECODERS: Final[Mapping[str, Callable[[bytes | memoryview], Samples]]] = {
    "pcmu": decode_ulaw,
    "pcma": decode_alaw,
    "l16": lambda data: np.frombuffer(data, ">i2").astype(np.int16),
    "s16le": lambda data: np.frombuffer(data, "<i2"),
}
"""By their names in `wire.runs.BYTES_PER_SAMPLE`."""
