"""Small multiples as SVG: one panel a series, a shared time axis. A few lines instead of a dependency."""

from collections.abc import Mapping, Sequence
from html import escape

COLUMNS, WIDTH, HEIGHT, GAP, MARGIN = 3, 300, 90, 34, 24
STYLE = "text{font:11px sans-serif;fill:#333}.t{font-size:15px}path{fill:none;stroke:#2b6cb0;stroke-width:1.3}"


def chart(title: str, seconds: Sequence[float], series: Mapping[str, Sequence[float]]) -> str:
    """An SVG document. Every panel begins at 0, so that flat looks flat."""
    rows = -(-len(series) // COLUMNS)
    width = COLUMNS * (WIDTH + GAP) + MARGIN
    height = rows * (HEIGHT + GAP) + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f'<title>{escape(title)}</title><style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>',
        f'<text class="t" x="{MARGIN}" y="18">{escape(title)}, {seconds[-1] / 60:.0f} minutes</text>',
    ]
    for place, (name, values) in enumerate(series.items()):
        left = MARGIN + place % COLUMNS * (WIDTH + GAP)
        top = MARGIN + GAP + place // COLUMNS * (HEIGHT + GAP)
        parts.append(f'<g transform="translate({left} {top})">{_panel(name, seconds, values)}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(name: str, seconds: Sequence[float], values: Sequence[float]) -> str:
    most = max(*values, 1e-9) if len(values) > 1 else max(values[0], 1e-9)
    last = seconds[-1] or 1.0
    points = " ".join(
        f"{WIDTH * at / last:.1f},{HEIGHT - (HEIGHT - 4) * value / most:.1f}"
        for at, value in zip(seconds, values, strict=True)
    )
    return (
        f'<path d="M0 0V{HEIGHT}H{WIDTH}" style="stroke:#bbb"/><path d="M{points}"/>'
        f'<text x="0" y="-5">{escape(name)}: {values[-1]:,.1f} (most {most:,.1f})</text>'
    )
