from dataclasses import replace

import numpy as np
import pytest
from tests.unit.services.delivery.house import House
from tests.unit.services.delivery.recorder import Take, cut, noise

from callvault.audio.pcm import Samples
from callvault.domain.errors import Malformed, TooLarge
from callvault.domain.recording import Clip, EditList, Mask
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Chunk
from callvault.ports.spool import Piece
from callvault.services.delivery.finepeaks import fine_peaks
from callvault.services.delivery.waveforms import Waveforms


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def waveforms(house: House) -> Waveforms:
    return Waveforms(house.views, house.expiry)


def picture(sound: Samples, zoom: int) -> np.ndarray:
    """Of frames (n, channels): told from the sound itself."""
    parts = [sound[at : at + zoom] for at in range(0, len(sound), zoom)]
    return np.array([np.stack((part.min(axis=0), part.max(axis=0)), axis=-1) for part in parts])


@pytest.mark.parametrize("zoom", [64, 256, 6400])
async def test_a_lane_is_drawn_as_it_sounds_without_being_read(house: House, waveforms: Waveforms, zoom: int) -> None:
    recording = await house.recorder.recording()
    takes = cut(noise(50_000), 12_345, "pcmu", start=1000)
    await house.recorder.lane(recording, "customer", [takes[:2], takes[2:]])
    drawn = await waveforms.of(recording, "customer", zoom)
    assert {start > 0 for _, start, _ in house.blobs.reads} == {True}
    assert (drawn.rate, drawn.samples_per_pixel) == (8000, zoom)
    expected = picture(await house.sound(recording, "customer"), zoom)
    assert drawn.peaks.shape == expected.shape
    assert np.array_equal(drawn.peaks, expected)


async def test_a_zoom_that_splits_cells_is_half_a_cell_off_at_most_and_no_wider(
    house: House, waveforms: Waveforms
) -> None:
    recording, sound = await house.recorder.recording(), noise(30_000)
    await house.recorder.lane(recording, "customer", [cut(sound, 7000)])
    drawn = (await waveforms.of(recording, "mono", 1000)).peaks[:, 0]
    cells = picture(sound[:, None], 64)[:, 0]
    for n, (low, high) in enumerate(drawn.tolist()):
        first, last = round(n * 1000 / 64), round((n + 1) * 1000 / 64) if n < 29 else len(cells)
        assert abs(64 * first - 1000 * n) <= 32
        assert (low, high) == (cells[first:last, 0].min(), cells[first:last, 1].max())


@pytest.mark.parametrize("zoom", [20, 33, 100, 441, 1000])
async def test_what_is_heard_in_a_moment_is_drawn_there_after_an_hour_too(
    house: House, waveforms: Waveforms, zoom: int
) -> None:
    recording, hour = await house.recorder.recording(), 3600 * 8000
    click = np.full(64, 9000, np.int16)
    await house.recorder.lane(recording, "customer", [[Take(0, click, 1)], [Take(hour, click, 2)]])
    drawn = (await waveforms.of(recording, "mono", zoom)).peaks[:, 0, 1]
    assert len(drawn) == -(-(hour + 64) // zoom)
    first, last = np.flatnonzero(drawn[len(drawn) // 2 :])[[0, -1]] + len(drawn) // 2
    assert abs(first * zoom - hour) <= zoom / 2 + 32 and last == len(drawn) - 1


async def test_stereo_has_a_picture_for_each_side_and_mono_one_of_both(house: House, waveforms: Waveforms) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(0, noise(6400, 1))]])
    await house.recorder.lane(recording, "assistant", [[Take(6400, noise(6400, 2))]])
    stereo, mono = (
        (await waveforms.of(recording, "stereo", 640)).peaks,
        (await waveforms.of(recording, "mono", 640)).peaks,
    )
    assert not stereo[10:, 0].any() and not stereo[:10, 1].any()
    assert np.array_equal(mono, picture(await house.sound(recording), 640))
    assert np.array_equal(stereo, picture(await house.sound(recording, "stereo"), 640))


async def test_a_lane_of_another_rate_is_drawn_at_its_time(house: House, waveforms: Waveforms) -> None:
    recording = await house.recorder.recording()
    sound = np.zeros(80_000, np.int16)
    sound[40_000:48_000] = 1000
    await house.recorder.lane(recording, "customer", [[Take(0, sound)]], 8000)
    await house.recorder.lane(recording, "assistant", [[Take(0, np.zeros(480_000, np.int16))]], 48_000)
    drawn = await waveforms.of(recording, "mono", 4800)
    assert drawn.rate == 48_000
    assert np.flatnonzero(drawn.peaks[:, 0, 1]).tolist() == list(range(50, 60))


async def test_masked_sound_is_flat_and_clips_are_drawn_where_they_are_heard(
    house: House, waveforms: Waveforms
) -> None:
    original = await house.recorder.recording()
    await house.recorder.lane(original, "customer", [[Take(0, noise(80_000, 1))]])
    await house.recorder.lane(original, "assistant", [[Take(0, noise(80_000, 2))]])
    clips = (
        Clip(recording_id=original.id, start_us=4_000_000, end_us=8_000_000),
        Clip(recording_id=original.id, start_us=0, end_us=1_000_000),
    )
    masks = (Mask(start_us=1_000_000, end_us=2_000_000), Mask(start_us=3_000_000, end_us=5_000_000, lane="customer"))
    edited = await house.recorder.recording(edits=EditList(clips=clips, masks=masks))
    drawn = (await waveforms.of(edited, "stereo", 640)).peaks
    assert np.array_equal(drawn, picture(await house.sound(edited, "stereo"), 640))
    assert not drawn[13:25].any() and not drawn[38:62, 0].any() and drawn[38:62, 1].all()


async def test_what_another_take_lies_over_is_not_drawn(house: House, waveforms: Waveforms) -> None:
    recording = await house.recorder.recording()
    loud, quiet = noise(6400, 1, 30_000), noise(6400, 2, 10)
    await house.recorder.lane(recording, "customer", [[Take(0, loud, 1)], [Take(0, quiet, 2)]])
    assert np.abs((await waveforms.of(recording, "mono", 640)).peaks).max() <= 10


async def test_of_a_stretch_no_more_is_read_than_lies_under_it(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(6400 * n, noise(6400, n))] for n in range(20)])
    [lane] = (await house.views.timelines.timeline(recording)).lanes
    read: list[int] = []

    class Reading:
        def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Chunk:
            chunk = house.views.blobs.read(obj, start, length)
            read.append(len(chunk))
            return chunk

    whole = dict(fine_peaks(lane, house.views.blobs, house.views.takes))
    some = dict(fine_peaks(lane, Reading(), house.views.takes, (250, 310)))  # type: ignore[arg-type]
    assert read == [4 * 50, 4 * 10]
    assert np.array_equal(np.concatenate([*some.values()]), np.concatenate([*whole.values()])[250:310])


async def test_what_has_not_come_to_storage_yet_is_drawn_too(house: House, waveforms: Waveforms) -> None:
    recording = await house.recorder.recording(in_progress=True, status="processing")
    sound = noise(6400)
    await house.recorder.lane(recording, "customer", [[Take(0, sound[:3000])]])
    house.spool.append(recording.id, "w", [Piece("customer", 1, "s16le", 8000, 3000, 3400, sound[3000:].tobytes())])
    drawn = await waveforms.of(recording, "mono", 640, live=True)
    assert np.array_equal(drawn.peaks, picture(sound[:, None], 640))


async def test_a_picture_is_bounded_and_named_by_what_it_shows(house: House, waveforms: Waveforms) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(0, noise(80))], [Take(1 << 40, noise(80))]])
    with pytest.raises(TooLarge):
        await waveforms.of(recording, "mono", 256)
    for zoom in (0, -1, 1 << 30):
        with pytest.raises(Malformed):
            await waveforms.of(recording, "mono", zoom)
    small = await house.recorder.recording()
    first = await waveforms.of(small)
    assert first.peaks.shape == (0, 1, 2)
    assert (
        len({first.etag, (await waveforms.of(small, "stereo")).etag, (await waveforms.of(small, "mono", 8)).etag}) == 3
    )
    assert first.etag == (await waveforms.of(replace(small, tags=("a",)))).etag
