"""What the page is made of: tables and figures, with all text escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def figure(title: str, svg: str, caption: str) -> str:
    """A plot under its title, with what it shows below."""
    return f"<h2>{escape(title)}</h2><figure>{svg}<figcaption>{caption}</figcaption></figure>"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int]) -> str:
    """A table under its title; columns whose number is in ``numbers`` are set right."""
    right = set(numbers)

    def line(cells: Sequence[str], tag: str) -> str:
        made = (
            f"<{tag}{' class=number' if place in right else ''}>{escape(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    return f"<h2>{escape(title)}</h2><table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def number(value: object) -> str:
    """A figure with four decimals; a dash where there is none."""
    return f"{value:.4f}" if isinstance(value, int | float) else "-"
