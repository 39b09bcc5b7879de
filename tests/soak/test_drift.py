"""The drift run can fail, and draws what it saw."""

from xml.dom import minidom

from tests.soak.chart import chart
from tests.soak.drift import drifted


def samples(**series: list[float]) -> list[dict[str, float]]:
    names = {name.replace("__", " "): values for name, values in series.items()}
    return [dict(zip(names, row, strict=True)) for row in zip(*names.values(), strict=True)]


def test_what_stays_as_it_was_after_the_warm_up_is_flat() -> None:
    noisy = [50.0 + place % 7 for place in range(100)]

    assert drifted(samples(workers__rss_mb=noisy, workers__descriptors=[40.0] * 100)) == {}


def test_what_goes_on_growing_is_named() -> None:
    growing = [50.0 + place for place in range(100)]

    found = drifted(samples(workers__rss_mb=growing, workers__descriptors=[40.0] * 100, finished_jobs__size_mb=growing))

    assert list(found) == ["workers rss_mb"]


def test_the_picture_is_an_svg_with_a_panel_for_each_series() -> None:
    drawn = chart("A & B", [1.0, 2.0, 60.0], {"one <rss>": [1.0, 2.0, 3.0], "two": [0.0, 0.0, 5.0]})

    picture = minidom.parseString(drawn)

    assert len(picture.getElementsByTagName("g")) == 2
    assert "M5.0,61.3 10.0,32.7 300.0,4.0" in drawn
