"""Bar charts as SVG: groups of bars with a name each, on a scale of factors, in plain text that diffs well."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, ROW, GAP, LEFT, RIGHT, TOP = 760, 18, 14, 230, 120, 44
COLOURS = ("#005eb8", "#768692", "#ae2573", "#ed8b00")


@dataclass(frozen=True)
class Group:
    """What was measured, and for each series its value and the words beside the bar; `goal` is a mark on the scale."""

    name: str
    values: tuple[float, ...]
    words: tuple[str, ...]
    goal: float | None = None


def bars(title: str, series: Sequence[str], groups: Sequence[Group]) -> str:
    """Return a chart in which each group has its own scale, since rates of different work do not compare."""
    lines, y = [], TOP + 24
    for group in groups:
        top = max(*group.values, group.goal or 0) or 1
        room = WIDTH - LEFT - RIGHT
        height = ROW * len(series)
        lines.append(_text(LEFT - 8, y + height / 2 + 4, group.name, anchor="end"))
        for place, (value, words) in enumerate(zip(group.values, group.words, strict=True)):
            long = max(1.0, room * value / top)
            colour = COLOURS[place % len(COLOURS)]
            lines.append(
                f'<rect x="{LEFT}" y="{y + place * ROW}" width="{long:.1f}" height="{ROW - 4}" fill="{colour}"/>'
            )
            lines.append(_text(LEFT + long + 6, y + place * ROW + 11, words, size=11))
        if group.goal is not None:
            x = LEFT + room * group.goal / top
            lines.append(f'<path d="M{x:.1f} {y - 3}V{y + height}" stroke="#212b32" stroke-dasharray="3 2"/>')
        y += height + GAP
    legend = [
        f'<rect x="{LEFT + 140 * place}" y="34" width="12" height="12" fill="{COLOURS[place % len(COLOURS)]}"/>'
        + _text(LEFT + 140 * place + 18, 44, name, size=11)
        for place, name in enumerate(series)
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" font-family="sans-serif">'
    white = f'<title>{escape(title)}</title><rect width="{WIDTH}" height="{y}" fill="#fff"/>'
    return "\n".join([head, white, _text(12, 22, title, size=15), *legend, *lines, "</svg>", ""])


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="#212b32">{escape(words)}</text>'
    )
