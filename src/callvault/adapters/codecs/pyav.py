"""Sound files and coded frames by FFmpeg's libraries, through PyAV."""

from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final

from callvault.adapters.codecs import encoding, lame
from callvault.adapters.codecs.decoding import Frames, PyAvDecoding, format_of, no_sound, open_sound
from callvault.adapters.codecs.examined import examined
from callvault.adapters.codecs.frames import decode
from callvault.adapters.codecs.outlet import Pipe, Scratch
from callvault.ports.codecs import FileForm, Samples, SoundFormat, SoundLimits
from callvault.ports.room import NewScratch

IN_MEMORY: Final = 4 << 20


class PyAvCodecs:
    """Every call has its own FFmpeg objects and shares none; one call's must not be used by two threads at once."""

    def __init__(self, scratch: NewScratch = SpooledTemporaryFile) -> None:
        """`scratch` is for files that must be whole before they can be sent."""
        self._scratch = scratch

    def probe(self, source: BinaryIO) -> SoundFormat:
        with open_sound(examined(source)) as container:
            decoded = Frames(container)
            for frame in decoded:
                return format_of(container, decoded.stream, frame)
        raise no_sound()

    def decode(self, source: BinaryIO, limits: SoundLimits) -> PyAvDecoding:
        return PyAvDecoding(source, limits)

    def decode_frames(self, codec: str, frames: Iterable[bytes], rate: int) -> Iterator[Samples]:
        return decode(codec, frames, rate)

    def form(self, format: str, rate: int, channels: int) -> FileForm:
        form = encoding.FORMATS[format]
        made_rate = form.rate_for(rate)
        return FileForm(form.name or form.codec, made_rate, form.bits_for(made_rate, channels))

    def encode(
        self, blocks: Iterable[Samples], *, format: str, rate: int, channels: int, bits: int = 0
    ) -> Iterator[bytes]:
        form = encoding.FORMATS[format]
        if format == "mp3" and lame.AVAILABLE:
            return lame.encode(blocks, form, rate, channels, Scratch(self._scratch(IN_MEMORY)), bits=bits)
        outlet = Pipe() if form.streamed else Scratch(self._scratch(IN_MEMORY))
        return encoding.encode(blocks, form, rate, channels, outlet, bits=bits)
