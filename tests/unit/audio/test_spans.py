import numpy as np

from callvault.audio.spans import laid

NONE = np.empty((0, 2), np.int64)


def test_what_is_laid_later_is_seen() -> None:
    layers = [
        ("silence", np.array([[0, 100]])),
        ("sound", np.array([[10, 30], [40, 60]])),
        ("loss", np.array([[25, 45]])),
    ]
    assert laid(layers) == [
        ("silence", 0, 10),
        ("sound", 10, 25),
        ("loss", 25, 45),
        ("sound", 45, 60),
        ("silence", 60, 100),
    ]


def test_neighbours_of_one_kind_are_one_and_nothing_is_no_span() -> None:
    assert laid([("a", np.array([[0, 5], [5, 9], [20, 30]])), ("b", NONE)]) == [("a", 0, 9), ("a", 20, 30)]
    assert laid([("a", NONE), ("b", np.array([[3, 3]]))]) == []
