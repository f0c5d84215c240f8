"""Lines in a plane, as an SVG of a few kilobytes that lives in docs/."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 200, 40, 48
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, told apart by everybody."""
_TICKS = 5


def lines(file: Path, title: str, x_label: str, y_label: str, series: Mapping[str, Points]) -> None:
    """Draw each of ``series``, by name, into ``file``."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / ((right - left) or 1)
        up = (y - low) / ((high - low) or 1)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="14" font-weight="bold">{escape(title)}</text>',
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text transform="translate(16 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>',
    ]
    for number in range(_TICKS + 1):
        x, y = left + number / _TICKS * (right - left), low + number / _TICKS * (high - low)
        (across, bottom), (edge, up) = place(x, low), place(left, y)
        parts += [
            f'<line x1="{edge:.1f}" y1="{up:.1f}" x2="{_WIDTH - _RIGHT}" y2="{up:.1f}" stroke="#ddd"/>',
            f'<text x="{edge - 6:.1f}" y="{up + 4:.1f}" text-anchor="end">{y:.2f}</text>',
            f'<text x="{across:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{x:g}</text>',
        ]
    for number, (name, points) in enumerate(series.items()):
        colour, legend = _COLOURS[number % len(_COLOURS)], _TOP + 18 * number
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<line x1="{_WIDTH - _RIGHT + 12}" y1="{legend}" x2="{_WIDTH - _RIGHT + 32}" y2="{legend}" '
            f'stroke="{colour}" stroke-width="2"/>',
            f'<text x="{_WIDTH - _RIGHT + 38}" y="{legend + 4}">{escape(name)}</text>',
        ]
    file.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
