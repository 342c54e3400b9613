"""Charts as SVG made here: no script, no inline style, a title and a table beside each."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from naru.console.words import Translate

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 220, 8, 24, 18


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a chart: its label, what came in, what went back (KRW)."""

    label: str
    came: int
    back: int

    @property
    def net(self) -> int:
        """What is left of the day; it may be negative."""
        return self.came - self.back


def _nice(top: int) -> int:
    unit = 1
    while unit * 10 <= top:
        unit *= 10
    return next(n * unit for n in (1, 2, 5, 10) if n * unit >= top)


def bars(t: Translate, days: list[Day]) -> Markup:
    """Two bars a day, what came in and what went back, and the net as a line."""
    top = _nice(max((max(d.came, d.back) for d in days), default=0) or 1)
    low = min(0, *(d.net for d in days)) if days else 0
    span = top - low
    plot = HEIGHT - TOP - BOTTOM

    def y(value: float) -> float:
        return round(TOP + (top - value) / span * plot, 1)

    step = (WIDTH - 2 * LEFT) / max(len(days), 1)
    wide = max(2.0, min(step * 0.34, 22))
    parts: list[str] = []
    for line in (top, top // 2):
        if line:
            parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - LEFT}" y1="{y(line)}" y2="{y(line)}"/>')
            parts.append(f'<text x="{LEFT}" y="{y(line) - 3}">{line:,}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - LEFT}" y1="{y(0)}" y2="{y(0)}"/>')
    points: list[str] = []
    every = max(1, len(days) // 10)
    for n, d in enumerate(days):
        middle = LEFT + step * (n + 0.5)
        for name, value, x in (("came", d.came, middle - wide), ("back", d.back, middle)):
            if value:
                label = escape(f"{d.label} {t(f'chart.{name}')} {value:,}")
                parts.append(
                    f'<rect class="{name}" x="{x:.1f}" y="{y(value)}" width="{wide:.1f}" '
                    f'height="{max(y(0) - y(value), 0.5):.1f}"><title>{label}</title></rect>'
                )
        points.append(f"{middle:.1f},{y(d.net)}")
        if n % every == 0:
            parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(d.label[5:])}</text>')
    parts.append(f'<polyline class="net" points="{" ".join(points)}"/>')
    title = escape(t("chart.title", since=days[0].label, until=days[-1].label) if days else t("chart.nothing"))
    return Markup(  # noqa: S704 - every text in it was escaped above
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}"><title>{title}</title>'
        f"{''.join(parts)}</svg>"
    )


def meter(share: float) -> Markup:
    """A share as a bar; the number stands beside it."""
    width = round(max(0.0, min(share, 1.0)) * 100, 1)
    return Markup(  # noqa: S704 - a number
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{width}" height="8"/></svg>'
    )
