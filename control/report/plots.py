"""Plots as inline SVG, in the colours of the page around them. Everything drawn is a number: no text of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from control.answers import AnchorState
    from control.evaluation_answers import ReliabilityBin, ReportAnalysis

WIDTH, HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 12, 12, 36


class _Axes:
    """Turns values into places, and draws the frame."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self._x, self._y = _widened(x), _widened(y)

    def x(self, value: float) -> float:
        low, high = self._x
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self._y
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    def frame(self, x_label: str, y_label: str, *, x_ticks: bool = True) -> list[str]:
        """Axes with four ticks each, and what they are."""
        parts = [f'<path class="axis" d="M{_LEFT} {_TOP}V{HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}"/>']
        for share in (0.0, 1 / 3, 2 / 3, 1.0):
            value = self._y[0] + share * (self._y[1] - self._y[0])
            parts.append(
                f'<text class="tick" x="{_LEFT - 6}" y="{self.y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
            )
            if x_ticks:
                value = self._x[0] + share * (self._x[1] - self._x[0])
                parts.append(
                    f'<text class="tick" x="{self.x(value):.1f}" y="{HEIGHT - 20}" text-anchor="middle">'
                    f"{value:.3g}</text>"
                )
        middle = (WIDTH + _LEFT) / 2
        parts.append(f'<text class="label" x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">{x_label}</text>')
        parts.append(
            f'<text class="label" x="14" y="{HEIGHT / 2 - 10:.0f}" text-anchor="middle" '
            f'transform="rotate(-90 14 {HEIGHT / 2 - 10:.0f})">{y_label}</text>'
        )
        return parts


def losses(analysis: ReportAnalysis) -> str:
    """Histograms of bits per byte: the candidate's filled, the incumbent's as an outline."""
    edges, ours, theirs = analysis["edges"], analysis["candidate_counts"], analysis["incumbent_counts"]
    highest = -(-max([1, *ours, *theirs]) // 3) * 3  # ticks at thirds are whole numbers
    axes = _Axes((edges[0], edges[-1]), (0, highest))
    parts = axes.frame("bits per byte of a conversation (left is better)", "conversations")
    bars = ((low, high, count) for low, high, count in zip(edges, edges[1:], ours, strict=False) if count)
    for low, high, count in bars:
        width = max(1.0, axes.x(high) - axes.x(low) - 1)
        parts.append(
            f'<rect class="ours fill" x="{axes.x(low):.1f}" y="{axes.y(count):.1f}" width="{width:.1f}" '
            f'height="{axes.y(0) - axes.y(count):.1f}"/>'
        )
    if theirs:
        steps = "".join(
            f"V{axes.y(count):.1f}H{axes.x(high):.1f}" for high, count in zip(edges[1:], theirs, strict=False)
        )
        parts.append(f'<path class="theirs" d="M{axes.x(edges[0]):.1f} {axes.y(0):.1f}{steps}V{axes.y(0):.1f}"/>')
    return _svg(parts, "Distribution of bits per byte")


def differences(analysis: ReportAnalysis) -> str:
    """Each conversation's difference, sorted: what is below the line was won."""
    values = analysis["differences"]
    most = max([abs(value) for value in values] or [1.0]) or 1.0
    axes = _Axes((0, max(1, len(values))), (-most, most))
    parts = axes.frame("conversations, from the most improved to the most worsened", "difference", x_ticks=False)
    width = max(1.0, axes.x(1) - axes.x(0) - 0.5)
    for place, value in enumerate(values):
        kind = "won" if value < 0 else "lost"
        top, bottom = sorted((axes.y(value), axes.y(0)))
        parts.append(
            f'<rect class="{kind}" x="{axes.x(place):.1f}" y="{top:.1f}" width="{width:.1f}" '
            f'height="{max(0.5, bottom - top):.1f}"/>'
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {axes.y(0):.1f}H{WIDTH - _RIGHT}"/>')
    return _svg(parts, "Difference on each conversation")


def reliability(found: dict[str, list[ReliabilityBin]]) -> str:
    """How often the likeliest token is right, by the model's probability for it; the diagonal is perfect."""
    axes = _Axes((0, 1), (0, 1))
    parts = axes.frame("probability that the model gives its likeliest token", "share that is right")
    parts.append(f'<path class="ideal" d="M{axes.x(0):.1f} {axes.y(0):.1f}L{axes.x(1):.1f} {axes.y(1):.1f}"/>')
    for who, kind in (("incumbent", "theirs"), ("candidate", "ours")):
        points = [(axes.x(one["confidence"]), axes.y(one["right"])) for one in found.get(who, [])]
        parts += _line(points, kind)
    return _svg(parts, "Reliability")


def audits(anchor: AnchorState) -> str:
    """Each anchor test with its bounds: the difference to the best audited version of its time."""
    tests = [one for one in anchor["audits"] if one["difference"] is not None]
    bounds = [value for one in tests for value in (one["lower"], one["upper"], one["difference"]) if value is not None]
    axes = _Axes((-0.5, max(0.5, len(tests) - 0.5)), (min([0.0, *bounds]), max([0.0, *bounds])))
    parts = axes.frame("anchor tests, oldest first", "bits per byte", x_ticks=False)
    parts.append(f'<path class="ideal" d="M{_LEFT} {axes.y(0):.1f}H{WIDTH - _RIGHT}"/>')
    for place, one in enumerate(tests):
        if one["lower"] is not None and one["upper"] is not None:
            parts.append(
                f'<path class="theirs" d="M{axes.x(place):.1f} {axes.y(one["lower"]):.1f}V{axes.y(one["upper"]):.1f}"/>'
            )
    parts += _line([(axes.x(place), axes.y(one["difference"] or 0.0)) for place, one in enumerate(tests)], "ours")
    return _svg(parts, "Anchor tests")


def _line(points: Sequence[tuple[float, float]], kind: str) -> list[str]:
    if not points:
        return []
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = [f'<circle class="{kind} dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    return [f'<path class="{kind}" d="M{path}"/>', *dots]


def _svg(parts: Iterable[str], title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{title}</title>{"".join(parts)}</svg>'


def _widened(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    return (low, high) if high > low else (low - 0.5, high + 0.5)
