"""Names that something may stumble over, and the rest of them by Hypothesis."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

MARKER = "create table public.marker ()"
BOUNDED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

# Allowed wherever a name may stand.
HOSTILE = (
    "'; drop table public.marker; --",
    '"; drop table public.marker; --',
    "$$; drop table public.marker; $$",
    "\\'; drop table public.marker; --",
    "%s %(name)s %% {} {0} {name}",
    "a'b\"c`d\\e",
    "line\nbreak\r\ttab",
    "\x01\x1b[31m\x7f",
    "queue,with:commas*",
    "naïve ünïcode 🐘 \u202ertl\u2028",
    "é" * 31 + "a",
    "x" * 63,
    "null",
    " ",
    "pg_catalog",
    "{}[]",
    "-q",
    "--help",
    "@file",
)
TROUBLE = ("", "\x00", "a\x00b", "\ud800", "a\udfff", "\udc80", "x" * 201, "é" * 600, "x" * 10_000)
NAMES = st.sampled_from(HOSTILE + TROUBLE) | st.text(max_size=80) | st.text(min_size=95, max_size=210)
