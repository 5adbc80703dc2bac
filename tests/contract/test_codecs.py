"""What every adapter of the port `Codecs` must do; sound is judged by numbers."""

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, settings
from hypothesis import strategies as st

from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.domain.errors import CallerFault, DiskFull, Malformed, TooLarge
from callvault.ports.codecs import Codecs, Samples, SoundFormat, SoundLimits
from callvault.wire import wav
from tests.fakes import FakeRoom

SOUND = Path(__file__).parents[1] / "media" / "sound"
LIMITS = SoundLimits()
SILENCE = np.int16(40)


@pytest.fixture(params=[PyAvCodecs], ids=lambda adapter: adapter.__name__)
def codecs(request) -> Codecs:
    return request.param()


def tone(rate: int, seconds: float, hertz: float = 440, level: float = 0.4) -> Samples:
    return np.rint(32768 * level * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.int16)


def two_tones(rate: int, seconds: float) -> Samples:
    return np.stack([tone(rate, seconds), tone(rate, seconds, 700, 0.2)], 1)


def blocks(samples: Samples, size: int = 7000) -> Iterator[Samples]:
    return (samples[at : at + size] for at in range(0, len(samples), size))


def encoded(codecs: Codecs, samples: Samples, format: str, rate: int) -> bytes:
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    return b"".join(codecs.encode(blocks(samples), format=format, rate=rate, channels=channels))


def decoded(codecs: Codecs, data: bytes, limits: SoundLimits = LIMITS) -> Samples:
    return np.concatenate(list(codecs.decode(BytesIO(data), limits)))


def wav_file(samples: Samples, rate: int) -> bytes:
    return (
        wav.header(rate, 1 if samples.ndim == 1 else samples.shape[1], len(samples)) + samples.astype("<i2").tobytes()
    )


def snr(wanted: Samples, got: Samples) -> float:
    """Signal to noise in dB, whatever level the codec chose (LAME turns everything down by 0.45 dB)."""
    a, b = wanted.astype(float), got[: len(wanted)].astype(float)
    noise = a - b * (a @ b) / (b @ b)
    return float(10 * np.log10((a @ a) / max(noise @ noise, 1e-9)))


def pitch(samples: Samples, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * rate / len(samples))


# -- files in --------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 20])
def test_pcm_comes_back_to_the_bit_with_its_channels_in_order(codecs: Codecs, channels: int) -> None:
    samples = np.random.default_rng(channels).integers(-32768, 32767, (9000, channels), dtype=np.int16)
    data = wav_file(samples, 16000)
    assert np.array_equal(decoded(codecs, data), samples)
    assert codecs.probe(BytesIO(data)) == SoundFormat("wav", "pcm_s16le", 16000, channels)


def pcm_of(codec: str, raw: bytes, bits: int, tag: int = 1) -> bytes:
    head = bytearray(wav.header(8000, 1, len(raw) * 8 // bits, bits))
    head[20:22] = tag.to_bytes(2, "little")
    return bytes(head) + raw


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (pcm_of("u8", bytes([0, 1, 128, 255]), 8), [-32768, -32512, 0, 32512]),
        (pcm_of("s24", b"\x7f\0\0\x80\0\0\xff\xff\x7f\0\0\x80\x80\xff\xff", 24), [0, 1, 32767, -32768, 0]),
        (pcm_of("s32", b"\xff\x7f\0\0\0\x80\0\0\xff\xff\xff\x7f\0\0\0\x80", 32), [0, 1, 32767, -32768]),
        (pcm_of("s64", np.array([0, 1 << 48, -(1 << 63)], "<i8").tobytes(), 64), [0, 1, -32768]),
        (pcm_of("f64", np.array([0.25, 2.0, -2.0], "<f8").tobytes(), 64, 3), [8192, 32767, -32768]),
        (pcm_of("ulaw", b"\x80\xff\x00", 8, 7), [32124, 0, -32124]),
        (pcm_of("alaw", b"\xaa\xd5\x2a", 8, 6), [32256, 8, -32256]),
    ],
    ids=["u8", "s24", "s32", "s64", "f64", "ulaw", "alaw"],
)
def test_every_form_of_samples_is_rounded_and_clipped(codecs: Codecs, data: bytes, expected: list[int]) -> None:
    assert decoded(codecs, data).reshape(-1).tolist() == expected


def test_floats_beyond_full_scale_are_clipped_and_never_wrapped(codecs: Codecs) -> None:
    samples = decoded(codecs, (SOUND / "floats-beyond-full-scale.wav").read_bytes())
    assert samples.reshape(-1).tolist() == [0, 16384, 32767, 32767, -32768, -32768, 32767, -32768, 0, 32767]


@pytest.mark.parametrize(
    ("container", "codec", "heard", "noise"),
    [
        ("ogg", "libopus", "opus", 20),
        ("webm", "libopus", "opus", 20),
        ("mp4", "aac", "aac", 28),
        ("adts", "aac", "aac", 28),
        ("mp3", "libmp3lame", "mp3", 30),
        ("flac", "flac", "flac", 90),
        ("aiff", "pcm_s16be", "pcm_s16be", 90),
        ("wav", "adpcm_ms", "adpcm_ms", 20),
        ("au", "pcm_mulaw", "pcm_mulaw", 30),
    ],
)
def test_what_ffmpeg_made_is_heard(
    codecs: Codecs, tmp_path: Path, container: str, codec: str, heard: str, noise: float
) -> None:
    samples = two_tones(48000, 1.5)
    (tmp_path / "in.wav").write_bytes(wav_file(samples, 48000))
    convert(tmp_path / "in.wav", tmp_path / "out", container, codec)
    data = (tmp_path / "out").read_bytes()
    found, told = decoded(codecs, data), codecs.probe(BytesIO(data))
    assert (told.codec, told.rate, told.channels) == (heard, 48000, 2)
    assert abs(len(found) - len(samples)) <= 2048 or container == "adts"
    late = 1024 if container == "adts" else 0  # raw AAC has no place to say that its first frame is to be skipped
    for channel in (0, 1):
        assert snr(samples[4800:-4800, channel], found[4800 + late :, channel]) > noise


def test_eight_channels_of_a_planar_codec_are_heard(codecs: Codecs) -> None:
    file, hertz = BytesIO(), [300, 400, 500, 60, 700, 800, 900, 1000]
    with av.open(file, "w", format="matroska") as made:
        stream = made.add_stream("aac", rate=48000, layout="7.1")
        stream.bit_rate = 500_000
        sound = np.stack([tone(48000, 1, each, 0.2) for each in hertz], 1)
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout="7.1")
        frame.sample_rate, frame.pts = 48000, 0
        made.mux([*stream.encode(frame), *stream.encode(None)])
    found = decoded(codecs, file.getvalue())
    assert [round(pitch(found[2048:, channel], 48000) / 20) * 20 for channel in range(8)] == hertz


def test_vorbis_is_heard(codecs: Codecs, tmp_path: Path) -> None:
    (tmp_path / "in.wav").write_bytes(wav_file(two_tones(48000, 1.5), 48000))
    convert(tmp_path / "in.wav", tmp_path / "out", "ogg", "vorbis")
    found = decoded(codecs, (tmp_path / "out").read_bytes())
    assert len(found) == pytest.approx(72000, abs=1024)
    assert [round(pitch(found[:, channel], 48000) / 20) for channel in (0, 1)] == [22, 35]


def convert(source: Path, target: Path, container: str, codec: str) -> None:
    with av.open(source) as heard, av.open(target, "w", format=container) as made:
        stream = made.add_stream(codec, rate=48000, layout="stereo")
        stream.codec_context.options = {"strict": "experimental"}
        for frame in heard.decode(audio=0):
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))


def test_a_long_file_is_decoded_in_blocks_of_bounded_size(codecs: Codecs) -> None:
    data = encoded(codecs, np.zeros(16000 * 120, np.int16), "flac", 16000)
    sizes = [len(block) for block in codecs.decode(BytesIO(data), LIMITS)]
    assert sum(sizes) == 16000 * 120
    assert max(sizes) < 16000 * 8


def test_a_second_that_is_missing_by_the_timestamps_is_silence(codecs: Codecs) -> None:
    samples = decoded(codecs, (SOUND / "one-second-missing.webm").read_bytes()).reshape(-1)
    assert abs(len(samples) - 72000) < 500
    assert np.abs(samples[14400:52800]).max() <= SILENCE
    assert abs(pitch(samples[:9600], 48000) - 440) < 6
    assert abs(pitch(samples[60000:], 48000) - 440) < 6


# -- files in that lie -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sizes-zero-after-a-crash.wav", "sizes-unknown-from-a-pipe.wav"])
def test_a_header_that_was_never_finished_hides_no_sound(codecs: Codecs, name: str) -> None:
    with (SOUND / name).open("rb") as file:
        decoding = codecs.decode(file, LIMITS)
        assert np.array_equal(np.concatenate(list(decoding)).reshape(-1), tone(16000, 0.5, level=0.5))
    assert decoding.damage is None


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("cut-off.wav", 0.25),
        ("cut-off.flac", 1.7),
        ("last-page-missing.ogg", 1.9),
        ("bytes-damaged.mp3", 1.6),
    ],
)
def test_what_came_before_a_cut_is_heard_and_the_cut_is_told(codecs: Codecs, name: str, seconds: float) -> None:
    with (SOUND / name).open("rb") as file:
        rate = codecs.probe(file).rate
        decoding = codecs.decode(file, LIMITS)
        samples = np.concatenate(list(decoding)).reshape(-1)
    assert len(samples) / rate == pytest.approx(seconds, abs=0.1 if name != "bytes-damaged.mp3" else 0.3)
    assert abs(pitch(samples[: rate // 4], rate) - 440) < 6
    assert decoding.damage


@pytest.mark.parametrize("left", [1, 20, 27, 28, 100])
def test_an_ogg_that_is_cut_within_its_last_page_is_told_too(codecs: Codecs, left: int) -> None:
    """The page's head alone says that it is the last one."""
    data = encoded(codecs, tone(16000, 2), "ogg", 16000)
    decoding = codecs.decode(BytesIO(data[: data.rfind(b"OggS") + left]), LIMITS)
    assert sum(map(len, decoding))
    assert decoding.damage
    whole = codecs.decode(BytesIO(data), LIMITS)
    assert (sum(map(len, whole)) >= 2 * 48000, whole.damage) == (True, None)


@pytest.mark.parametrize(
    "name",
    [
        "header-alone.wav",
        "list-of-two-gigabytes.wav",
        "xml-error-page.wav",
        "rate-of-one-hertz.wav",
        "video-without-sound.mp4",
        "index-cut-off.m4a",
        "samples-without-bytes.m4a",
        "playlist-of-a-local-file.wav",
        "list-of-a-local-file.wav",
    ],
)
def test_what_is_no_sound_is_malformed(codecs: Codecs, name: str) -> None:
    with (SOUND / name).open("rb") as file:
        with pytest.raises(Malformed):
            codecs.probe(file)
        with pytest.raises(Malformed):
            list(codecs.decode(file, LIMITS))


def test_a_big_endian_wav_is_refused_and_not_taken_for_noise(codecs: Codecs) -> None:
    form = struct.pack(">4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    data = tone(8000, 0.5).astype(">i2").tobytes()
    body = b"WAVE" + form + struct.pack(">4sI", b"data", len(data)) + data
    file = BytesIO(struct.pack(">4sI", b"RIFX", len(body)) + body)
    with pytest.raises(Malformed, match="big-endian"):
        codecs.probe(file)
    with pytest.raises(Malformed, match="big-endian"):
        list(codecs.decode(file, LIMITS))


def clip(*, cover: bool) -> bytes:
    """Sound with a picture beside it: one that goes on, or one on its cover."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        picture = container.add_stream("mjpeg" if cover else "mpeg4", rate=5)
        picture.width = picture.height = 16
        picture.pix_fmt = "yuvj420p" if cover else "yuv420p"
        picture.disposition = Disposition.attached_pic if cover else Disposition.default
        sound = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ones((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        for _ in range(1 if cover else 5):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        for stream, last in ((picture, None), (sound, frame), (sound, None)):
            container.mux(stream.encode(last))
    return file.getvalue()


def test_a_video_is_no_sound_and_a_cover_does_not_matter(codecs: Codecs) -> None:
    with pytest.raises(Malformed, match="it is a video"):
        codecs.probe(BytesIO(clip(cover=False)))
    assert codecs.probe(BytesIO(clip(cover=True))).rate == 8000


HOUR = 3600 * 8000
TIGHT = [SoundLimits(seconds=10), SoundLimits(unfolded=160_000, folded=0), SoundLimits(unfolded=0, folded=2)]


def came(codecs: Codecs, data: bytes, limits: SoundLimits) -> int:
    """How many bytes of samples came out before it was refused."""
    size = 0
    with pytest.raises(TooLarge, match=r"seconds|bytes of samples"):
        for block in codecs.decode(BytesIO(data), limits):
            size += block.nbytes
    return size


@pytest.mark.parametrize("limits", TIGHT)
def test_a_small_file_that_says_it_unfolds_to_a_long_one_is_refused_at_once(
    codecs: Codecs, limits: SoundLimits
) -> None:
    for format in ("flac", "m4a", "mp3"):
        assert came(codecs, encoded(codecs, np.zeros(HOUR, np.int16), format, 8000), limits) == 0


@pytest.mark.parametrize("limits", TIGHT)
def test_a_small_file_that_hides_how_long_it_is_stops_at_the_limit(codecs: Codecs, limits: SoundLimits) -> None:
    flac = bytearray(encoded(codecs, np.zeros(HOUR, np.int16), "flac", 8000))
    flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 0])
    for data in (bytes(flac), encoded(codecs, np.zeros(HOUR, np.int16), "ogg", 8000)):
        second = 2 * codecs.probe(BytesIO(data)).rate
        assert 0 < came(codecs, data, limits) <= min(limits.seconds * second, limits.bytes_of(len(data)))


def test_a_file_may_unfold_to_what_its_size_allows(codecs: Codecs) -> None:
    limits = SoundLimits(unfolded=0, folded=20)
    for format in ("flac", "m4a", "mp3", "ogg"):
        data = encoded(codecs, tone(16000, 20), format, 16000)
        assert len(decoded(codecs, data, limits)) / codecs.probe(BytesIO(data)).rate == pytest.approx(20, abs=0.2)
    assert len(decoded(codecs, wav_file(tone(8000, 2), 8000), SoundLimits(unfolded=0, folded=1))) == 16_000


def test_too_many_channels_and_too_high_rates_are_refused(codecs: Codecs) -> None:
    with pytest.raises(TooLarge):
        decoded(codecs, wav_file(np.zeros((100, 9), np.int16), 16000), SoundLimits(channels=8))
    with pytest.raises(Malformed):
        decoded(codecs, wav_file(np.zeros(100, np.int16), 96000), SoundLimits(rate=48000))


@pytest.mark.parametrize("after", [0, 30_000])
def test_a_fault_of_the_file_object_itself_is_not_blamed_on_the_sound(codecs: Codecs, after: int) -> None:
    class Broken(BytesIO):
        came = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.came += len(data)
            if self.came > after:
                raise ConnectionResetError
            return data

    data = wav_file(np.random.default_rng(0).integers(-9000, 9000, 500_000, np.int16), 8000)
    with pytest.raises(ConnectionResetError):
        list(codecs.decode(Broken(data), LIMITS))


SEEDS = [path.read_bytes()[:6000] for path in sorted(SOUND.iterdir())]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 6000), st.binary(min_size=1, max_size=9)), max_size=8))
def test_fuzz_damaged_files_decode_or_are_malformed(seed: bytes, damages: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for at, new in damages:
        data[at : at + len(new)] = new
    try:
        for block in PyAvCodecs().decode(BytesIO(bytes(data)), SoundLimits(seconds=120)):
            assert block.dtype == np.int16
            assert block.ndim == 2
    except CallerFault:
        pass


# -- files out -------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize(("format", "noise"), [("mp3", 30), ("ogg", 20), ("m4a", 30), ("flac", 90)])
def test_each_channel_survives_the_round_trip(codecs: Codecs, format: str, noise: float, rate: int) -> None:
    samples = two_tones(rate, 2.2)
    found = decoded(codecs, encoded(codecs, samples, format, rate))
    step = len(found) // len(samples)  # Opus always comes back at 48 kHz
    heard = two_tones(rate * step, 2.2)
    margin = rate * step // 10
    for channel in (0, 1):
        assert snr(heard[margin:-margin, channel], found[margin:, channel]) > noise


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
@pytest.mark.parametrize("format", ["mp3", "ogg", "m4a", "flac"])
def test_a_file_is_made_in_the_form_that_is_told(codecs: Codecs, format: str, rate: int) -> None:
    form, noise = codecs.form(format, rate, 2), np.random.default_rng(1).normal(0, 3000, (rate * 3, 2)).astype(np.int16)
    data = encoded(codecs, noise, format, rate)
    found = codecs.probe(BytesIO(data))
    assert form.codec == found.codec and found.rate in (form.rate, 48_000)
    assert (form.bits == 0) is (format == "flac")
    if form.bits:
        assert 0.5 < len(data) * 8 / 3 / form.bits < 1.5


@pytest.mark.parametrize("format", ["mp3", "ogg", "m4a"])
def test_a_file_is_as_large_as_its_bits_a_second_say(codecs: Codecs, format: str) -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 16000 * 5).astype(np.int16)
    for bits in (16_000, 24_000, 64_000):
        pieces = codecs.encode(blocks(noise), format=format, rate=16000, channels=1, bits=bits)
        assert 0.8 < len(b"".join(pieces)) * 8 / 5 / bits < 1.2


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
def test_flac_is_exact(codecs: Codecs, rate: int) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, (rate, 2), dtype=np.int16)
    assert np.array_equal(decoded(codecs, encoded(codecs, samples, "flac", rate)), samples)


@pytest.mark.parametrize("format", ["mp3", "ogg", "m4a", "flac"])
@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000])
def test_a_file_declares_its_true_length(codecs: Codecs, tmp_path: Path, format: str, rate: int) -> None:
    data = encoded(codecs, tone(rate, 3.21), format, rate)
    assert abs(declared_seconds(data) - 3.21) < 0.2
    heard = len(decoded(codecs, data)) / codecs.probe(BytesIO(data)).rate
    assert 3.2099 <= heard <= 3.21 + (0.13 if format == "m4a" else 0.001)


def declared_seconds(data: bytes) -> float:
    with av.open(BytesIO(data)) as container:
        assert container.duration is not None
        return container.duration / 1_000_000


def test_an_mp3_tells_its_frames_and_its_gapless_ends(codecs: Codecs) -> None:
    data = encoded(codecs, tone(16000, 3.21), "mp3", 16000)
    assert b"Info" in data[:64] or b"Xing" in data[:64]
    assert len(decoded(codecs, data)) == round(16000 * 3.21)


def test_the_index_of_an_m4a_comes_before_its_sound(codecs: Codecs) -> None:
    data = encoded(codecs, tone(16000, 2), "m4a", 16000)
    assert data.index(b"moov") < data.index(b"mdat")


def test_flac_counts_its_samples_in_its_head(codecs: Codecs) -> None:
    data = encoded(codecs, tone(16000, 2), "flac", 16000)
    assert int.from_bytes(data[18:26], "big") & (1 << 36) - 1 == 32000


@pytest.mark.parametrize("format", ["mp3", "ogg", "m4a", "flac"])
def test_ffmpeg_seeks_to_the_place(codecs: Codecs, format: str) -> None:
    rate = 16000
    samples = np.concatenate([tone(rate, 4), tone(rate, 4, 1000)])
    with av.open(BytesIO(encoded(codecs, samples, format, rate))) as container:
        container.seek(5_000_000)
        frame = next(frame for frame in container.decode(audio=0) if frame.time >= 5)
        resampled = av.AudioResampler("s16", "mono", rate).resample(frame)[0].to_ndarray().reshape(-1)
    assert 5 <= float(frame.time) < 5.2
    assert abs(pitch(np.pad(resampled, (0, rate)).astype(np.int16), rate) - 1000) < 60


@pytest.mark.parametrize("format", ["mp3", "ogg", "m4a", "flac"])
def test_the_same_sound_gives_the_same_bytes_however_it_is_cut(codecs: Codecs, format: str) -> None:
    samples = two_tones(16000, 1.3)
    one = b"".join(codecs.encode([samples], format=format, rate=16000, channels=2))
    many = b"".join(codecs.encode(blocks(samples, 1111), format=format, rate=16000, channels=2))
    assert one == many


def test_an_ogg_leaves_while_it_is_made(codecs: Codecs) -> None:
    taken = 0

    def source() -> Iterator[Samples]:
        nonlocal taken
        for block in blocks(tone(16000, 60), 16000):
            taken += 1
            yield block

    pieces = codecs.encode(source(), format="ogg", rate=16000, channels=1)
    next(pieces)
    assert taken < 10
    assert len(list(pieces)) > 10


@pytest.mark.parametrize("format", ["mp3", "ogg", "m4a", "flac"])
def test_no_sound_at_all_is_still_a_file(codecs: Codecs, format: str) -> None:
    data = b"".join(codecs.encode([], format=format, rate=16000, channels=1))
    assert np.abs(decoded(codecs, data)).max() <= SILENCE


@pytest.mark.parametrize("format", ["mp3", "m4a", "ogg"])
def test_an_encoder_that_is_let_go_leaves_nothing_behind(codecs: Codecs, tmp_path: Path, format: str) -> None:
    own = PyAvCodecs(FakeRoom(tmp_path).scratch)
    pieces = own.encode(blocks(tone(16000, 9)), format=format, rate=16000, channels=1)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["mp3", "m4a", "flac"])
def test_an_encoder_that_finds_no_room_on_the_disk_says_so(tmp_path: Path, format: str) -> None:
    room = FakeRoom(tmp_path, free=-1)
    loud = np.random.default_rng(1).integers(-30_000, 30_000, 200_000, np.int16)
    with pytest.raises(DiskFull):
        list(PyAvCodecs(lambda _: room.scratch(1)).encode(blocks(loud), format=format, rate=8000, channels=1))
    assert room.asked


def test_a_fault_of_the_blocks_comes_through(codecs: Codecs) -> None:
    def failing() -> Iterator[Samples]:
        yield tone(16000, 1)
        raise ConnectionResetError

    for format in ("mp3", "ogg", "m4a", "flac"):
        with pytest.raises(ConnectionResetError):
            list(codecs.encode(failing(), format=format, rate=16000, channels=1))


# -- frames ----------------------------------------------------------------------------------


def coded_frames(codec: str, rate: int, samples: Samples) -> list[bytes]:
    context = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.format = rate, "mono", "s16"
    frames = []
    for part in blocks(samples, rate // 50):
        frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate
        frames += [bytes(packet) for packet in context.encode(frame)]
    return frames + [bytes(packet) for packet in context.encode(None)]


@pytest.mark.parametrize(
    ("codec", "encoder", "rate", "late", "noise"),
    [("g722", "g722", 16000, 22, 20), ("opus", "libopus", 48000, 312, 25)],
)
def test_frames_decode_one_by_one(codecs: Codecs, codec: str, encoder: str, rate: int, late: int, noise: float) -> None:
    samples = tone(rate, 1)
    found = list(codecs.decode_frames(codec, coded_frames(encoder, rate, samples), rate))
    assert {len(block) for block in found} == {rate // 50}
    assert snr(samples[rate // 10 : -rate // 10], np.concatenate(found)[rate // 10 + late :]) > noise


def test_gsm_frames_of_33_bytes_are_20_ms_each(codecs: Codecs) -> None:
    found = list(codecs.decode_frames("gsm", [b"\xd1" + bytes(32)] * 3, 8000))
    assert [block.shape for block in found] == [(160,)] * 3


def test_a_lost_frame_is_silence_as_long_as_the_one_before(codecs: Codecs) -> None:
    frames = coded_frames("libopus", 48000, tone(48000, 1))
    frames[20], frames[30] = b"", b"\xff\xff\xff"
    found = list(codecs.decode_frames("opus", frames, 48000))
    assert [len(block) for block in found] == [960] * len(frames)
    assert not found[20].any()
    assert not found[30].any()
    assert abs(pitch(np.concatenate(found[35:45]), 48000) - 440) < 6


def test_an_unknown_codec_or_a_wrong_rate_is_malformed(codecs: Codecs) -> None:
    for codec, rate in (("evs", 16000), ("g722", 8000), ("opus", 8000)):
        with pytest.raises(Malformed):
            list(codecs.decode_frames(codec, [b"\0"], rate))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from([("g722", 16000), ("opus", 48000), ("gsm", 8000)]), st.lists(st.binary(max_size=200), max_size=10)
)
def test_fuzz_any_frames_give_a_block_each(codec: tuple[str, int], frames: list[bytes]) -> None:
    found = list(PyAvCodecs().decode_frames(codec[0], frames, codec[1]))
    assert len(found) == len(frames)
    assert all(block.ndim == 1 and block.dtype == np.int16 for block in found)
