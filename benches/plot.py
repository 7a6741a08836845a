#!/usr/bin/env python3
"""Draws the plots of docs/PERFORMANCE.md as SVG files, from the output of the measuring programs. Needs Python.

    benches/plot.py --compare compare.json --memory memory.json --growth growth.json --to docs/plots

cpu.svg      server CPU time per request, a panel for each scenario, a bar for each server, whiskers for the interval
memory.svg   private bytes per idle connection, on a logarithmic scale
growth.svg   what happens with more connections, more routes, and more idle connections

First come the two adapters, which know the files; then the charts, which know only `Bar`, `Line` and `Panel`; then the
drawing. The pictures bring their own background, light or dark as the reader's system is.
"""

import argparse
import json
import math
import os
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

OURS = "monoloop"
FLOOR = "floor"


class Figure(NamedTuple):
    """A median, and the interval around it."""
    median: float
    low: float
    high: float


class Bar(NamedTuple):
    name: str
    figure: Figure


class Line(NamedTuple):
    name: str
    points: list[tuple[float, Figure]]


@dataclass
class Panel:
    """A chart of bars or of lines."""
    title: str
    x_label: str
    y_label: str = ""
    bars: list[Bar] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    floor: Bar | None = None
    log_x: bool = False
    log_y: bool = False


def figure(value: float | dict[str, float]) -> Figure:
    """Counts are numbers, times are a median with an interval."""
    match value:
        case {"median": median, "low": low, "high": high}:
            return Figure(median, low, high)
        case _:
            return Figure(value, value, value)


# The titles are short enough to fit above a panel.
TITLES = {
    "plain-c1": "Plaintext, 1 connection",
    "plain-c64": "Plaintext, 64 connections",
    "plain-c512": "Plaintext, 512 connections",
    "pipelined": "Plaintext, pipelined by 16",
    "json": "JSON",
    "fields": "20 fields of a browser",
    "close": "A connection for each request",
    "post-1k": "POST, 1 KiB",
    "post-1m": "POST, 1 MiB",
    "routes": "500 routes with a parameter",
    "static-1k": "File of 1 KiB",
    "static-100k": "File of 100 KiB",
    "static-10m": "File of 10 MiB",
}


# ---- adapters: from the files to panels -----------------------------------------------------------------------------

def compared_cpu(data: dict) -> list[Panel]:
    """benches/compare/run.py: scenarios with their servers. A server that answers wrongly has no rank and no bar."""
    panels = []
    for key, scenario in data["scenarios"].items():
        ranked = {name: result["summary"] for name, result in scenario["results"].items()
                  if result["summary"] and (result["is_ranked"] or name == FLOOR)}
        bars = [Bar(name, figure(summary["cpu_us_per_request"])) for name, summary in ranked.items()]
        panels.append(bar_panel(TITLES.get(key, scenario["title"]), "server CPU, µs per request", bars))
    return panels


def compared_memory(data: dict) -> list[Panel]:
    """benches/compare/run.py --memory: for each server, among others, 10,000 idle connections."""
    bars = [Bar(name, figure(row["private_each"])) for name, measured in data["memory"].items()
            for row in measured["idle"] if row["connections"] == 10_000]
    panel = bar_panel("10,000 idle connections", "private bytes of each, logarithmic", bars)
    panel.log_x = True
    return [panel] if bars else []


def bar_panel(title: str, unit: str, bars: list[Bar]) -> Panel:
    """The cheapest server first. The floor is a line, not a bar."""
    bars = sorted(bars, key=lambda bar: bar.figure.median)
    floor = next((bar for bar in bars if bar.name == FLOOR), None)
    return Panel(title, unit, bars=[bar for bar in bars if bar is not floor], floor=floor)


def growth(data: dict) -> list[Panel]:
    """benches/growth.py."""
    def lines(part: str, x: str, *columns: str) -> list[Line]:
        rows = data.get(part, [])
        return [Line(column.replace("_", " "), [(row[x], figure(row[column])) for row in rows]) for column in columns]

    cpu, instructions = "server CPU, µs per request", "instructions per request"
    active, routes, idle = "connections, all active", "routes of each kind", "idle connections"
    panels = [
        Panel("More connections: time", active, cpu, lines=lines("connections", "connections", "cpu_us"), log_x=True),
        Panel("More connections: instructions", active, instructions, log_x=True,
              lines=lines("connections", "connections", "instructions")),
        Panel("More idle ones beside one active: time", idle, cpu, lines=lines("idle", "idle", "cpu_us")),
        Panel("More idle ones: instructions", idle, instructions, lines=lines("idle", "idle", "instructions")),
        Panel("More routes", routes, instructions, log_x=True,
              lines=lines("routes", "routes", "literal", "parameter", "missing")),
    ]
    return [panel for panel in panels if all(line.points for line in panel.lines)]


# ---- scales ---------------------------------------------------------------------------------------------------------

class Scale:
    """From values to pixels, and where the ticks are."""

    def __init__(self, low: float, high: float, start: float, end: float, logarithmic: bool):
        self.transform: Callable[[float], float] = math.log10 if logarithmic else float
        if logarithmic:
            low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high) - 1e-9)
            high = max(high, 10 * low)
            self.ticks = [10 ** power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]
        else:
            low, high, step = 0, high or 1, nice_step((high or 1) / 4)
            high = math.ceil(high / step - 1e-9) * step
            self.ticks = [step * i for i in range(round(high / step) + 1)]
        self.limit = high
        self.low, self.high, self.start, self.end = self.transform(low), self.transform(high), start, end

    def __call__(self, value: float) -> float:
        part = (self.transform(value) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def nice_step(rough: float) -> float:
    """The next of 1, 2, 5, 10, ... above."""
    power = 10 ** math.floor(math.log10(rough))
    return next(nice * power for nice in (1, 2, 5, 10) if nice * power >= rough)


def text_of(value: float) -> str:
    for from_, unit, letter in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= from_ and value % unit == 0:
            return f"{value / unit:,.0f}{letter}"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


# ---- drawing --------------------------------------------------------------------------------------------------------

WIDTH = 800
LEFT = 24
GAP = 36
TITLE = 38
AXIS = 48
ROW = 22
CUT = 2.5  # a bar that is so much longer than the median of all is cut short
CHARACTER = 7.2

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
.title { font-size: 14px; font-weight: 600; }
.quiet { fill: #59636e; font-size: 11px; }
.paper { fill: #ffffff; }
.grid { stroke: #d8dee4; }
.axis { stroke: #8c959f; }
.bar { fill: #a9b4c0; }
.ours { fill: #0969da; }
.whisker { stroke: #1f2328; }
.cut { fill: none; stroke: #ffffff; stroke-width: 2; }
.floor { stroke: #bc4c00; stroke-dasharray: 4 3; }
.floor-name { fill: #bc4c00; font-size: 11px; }
.band { opacity: 0.18; }
.fill0 { fill: #0969da; } .fill1 { fill: #bc4c00; } .fill2 { fill: #1a7f37; }
.line0 { stroke: #0969da; } .line1 { stroke: #bc4c00; } .line2 { stroke: #1a7f37; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
"""
DARK = """
text { fill: #e6edf3; }
.quiet { fill: #9198a1; }
.paper { fill: #0d1117; }
.grid { stroke: #2a313c; }
.axis { stroke: #656c76; }
.bar { fill: #4a5563; }
.ours { fill: #4493f8; }
.whisker { stroke: #e6edf3; }
.cut { stroke: #0d1117; }
.floor { stroke: #f0883e; }
.floor-name { fill: #f0883e; }
.fill0 { fill: #4493f8; } .fill1 { fill: #f0883e; } .fill2 { fill: #3fb950; }
.line0 { stroke: #4493f8; } .line1 { stroke: #f0883e; } .line2 { stroke: #3fb950; }
"""


class Drawing:
    """Collects the elements of a picture."""

    def __init__(self) -> None:
        self.elements: list[str] = []

    def rect(self, kind: str, x: float, y: float, width: float, height: float, tip: str) -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"'
        self.elements.append(f'<rect class="{kind}" {place}><title>{escape(tip)}</title></rect>')

    def line(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
        place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self.elements.append(f'<line class="{kind}" {place}/>')

    def path(self, kind: str, points: Iterable[tuple[float, float]], closed: bool = False) -> None:
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.elements.append(f'<{"polygon" if closed else "polyline"} class="{kind}" points="{way}"/>')

    def dot(self, kind: str, x: float, y: float, tip: str) -> None:
        place = f'cx="{x:.1f}" cy="{y:.1f}" r="3"'
        self.elements.append(f'<circle class="{kind}" {place}><title>{escape(tip)}</title></circle>')

    def text(self, x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        self.elements.append(f'<text class="{kind}" {place}>{escape(words)}</text>')

    def svg(self, height: float, name: str) -> str:
        size = f'width="{WIDTH}" height="{height:.0f}"'
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height:.0f}" role="img">',
            f"<title>{escape(name)}</title>",
            f"<style>{STYLE}@media (prefers-color-scheme: dark) {{{DARK}}}</style>",
            f'<rect class="paper" {size} rx="6"/>',
            *self.elements,
            "</svg>\n",
        ])


def picture(name: str, panels: list[Panel], columns: int, note: str = "") -> str:
    """The panels in rows from left to right, and below them a note."""
    drawing = Drawing()
    width = (WIDTH - 2 * LEFT - (columns - 1) * GAP) / columns
    top = 12.0
    for row in (panels[at:at + columns] for at in range(0, len(panels), columns)):
        height = max(panel_height(panel) for panel in row)
        for column, panel in enumerate(row):
            draw = draw_bars if panel.bars else draw_lines
            draw(drawing, panel, LEFT + column * (width + GAP), top, width, height)
        top += height + 16
    if note:
        drawing.text(LEFT, top + 4, note, kind="quiet")
        top += 16
    return drawing.svg(top + 4, name)


def panel_height(panel: Panel) -> float:
    return TITLE + AXIS + (ROW * len(panel.bars) + 8 if panel.bars else 190)


def draw_bars(drawing: Drawing, panel: Panel, left: float, top: float, width: float, _height: float) -> None:
    names = 12 + CHARACTER * max(len(bar.name) for bar in panel.bars)
    upper, lower = top + TITLE, top + TITLE + ROW * len(panel.bars) + 8
    known = panel.bars + ([panel.floor] if panel.floor else [])
    low, high = min(bar.figure.low for bar in known), max(bar.figure.high for bar in known)
    if not panel.log_x:
        high = min(high, CUT * statistics.median(bar.figure.high for bar in known))
    x = Scale(low, high, left + names, left + width - 44, panel.log_x)
    drawing.text(left, top + 14, panel.title, kind="title")
    draw_x_axis(drawing, panel, x, upper, lower)
    for i, bar in enumerate(panel.bars):
        draw_bar(drawing, bar, x, left + names, upper + 4 + ROW * i)
    if panel.floor:
        at = x(panel.floor.figure.median)
        drawing.line("floor", at, upper - 4, at, lower)
        drawing.text(at, upper - 7, f"{panel.floor.name} {text_of(panel.floor.figure.median)}", "middle", "floor-name")


def draw_bar(drawing: Drawing, bar: Bar, x: Scale, left: float, top: float) -> None:
    median, low, high = bar.figure
    middle = top + ROW / 2
    is_cut = high > x.limit
    tip = f"{bar.name}: {text_of(median)}" + (f" ({text_of(low)} to {text_of(high)})" if low != high else "")
    drawing.text(left - 8, middle + 4, bar.name, "end")
    end = x.end if is_cut else x(median)
    drawing.rect("bar ours" if bar.name.startswith(OURS) else "bar", left, top + 4, end - left, ROW - 8, tip)
    if is_cut:
        for at in (end - 16, end - 10):
            drawing.path("cut", [(at, top + ROW - 2), (at + 5, top + 2)])
    elif low != high:
        drawing.line("whisker", x(low), middle, x(high), middle)
        for limit in (low, high):
            drawing.line("whisker", x(limit), middle - 4, x(limit), middle + 4)
    drawing.text((end if is_cut else x(high)) + 6, middle + 4, text_of(median), kind="quiet")


def draw_lines(drawing: Drawing, panel: Panel, left: float, top: float, width: float, height: float) -> None:
    points = [point for line in panel.lines for point in line.points]
    several = len(panel.lines) > 1
    right = left + width - (12 + CHARACTER * max(len(line.name) for line in panel.lines) if several else 16)
    upper, lower = top + TITLE + 12, top + height - AXIS
    x = Scale(min(at for at, _ in points), max(at for at, _ in points), left + 44, right, panel.log_x)
    y = Scale(min(one.low for _, one in points), max(one.high for _, one in points), lower, upper, panel.log_y)
    drawing.text(left, top + 14, panel.title, kind="title")
    drawing.text(left, top + 32, panel.y_label, kind="quiet")
    for tick in y.ticks:
        drawing.line("grid", left + 44, y(tick), right, y(tick))
        drawing.text(left + 38, y(tick) + 4, text_of(tick), "end", "quiet")
    draw_x_axis(drawing, panel, x, lower, lower)
    for i, line in enumerate(panel.lines):
        draw_line(drawing, line, i, x, y)
    if several:
        draw_names(drawing, panel.lines, right + 8, y)


def draw_line(drawing: Drawing, line: Line, number: int, x: Scale, y: Scale) -> None:
    if any(one.low != one.high for _, one in line.points):
        upper = [(x(at), y(one.high)) for at, one in line.points]
        lower = [(x(at), y(one.low)) for at, one in reversed(line.points)]
        drawing.path(f"band fill{number}", upper + lower, closed=True)
    drawing.path(f"line line{number}", [(x(at), y(one.median)) for at, one in line.points])
    for at, one in line.points:
        drawing.dot(f"fill{number}", x(at), y(one.median), f"{text_of(at)}: {text_of(one.median)}")


def draw_names(drawing: Drawing, lines: list[Line], left: float, y: Scale) -> None:
    """Labels at the ends of the lines, from the lowest up, and never closer together than a line of text."""
    above = math.inf
    for end, number in sorted(((y(line.points[-1][1].median), i) for i, line in enumerate(lines)), reverse=True):
        above = min(end, above - 14)
        drawing.text(left, above + 4, lines[number].name, kind=f"fill{number}")


def draw_x_axis(drawing: Drawing, panel: Panel, x: Scale, upper: float, lower: float) -> None:
    for tick in x.ticks:
        drawing.line("grid", x(tick), upper, x(tick), lower + 4)
        drawing.text(x(tick), lower + 18, text_of(tick), "middle", "quiet")
    drawing.line("axis", x.start, lower, x.end, lower)
    drawing.text((x.start + x.end) / 2, lower + 34, panel.x_label, "middle", "quiet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", metavar="FILE", help="written by benches/compare/run.py --json")
    parser.add_argument("--memory", metavar="FILE", help="written by benches/compare/run.py --memory-only --json")
    parser.add_argument("--growth", metavar="FILE", help="written by benches/growth.py --json")
    parser.add_argument("--to", metavar="FOLDER", default=".", help="where the pictures go (.)")
    arguments = parser.parse_args()

    pictures: dict[str, str] = {}
    if arguments.compare:
        data = read(arguments.compare)
        pictures["cpu"] = picture("Server CPU time per request", compared_cpu(data), 2, note_of(data))
    if arguments.memory:
        data = read(arguments.memory)
        pictures["memory"] = picture("Memory of an idle connection", compared_memory(data), 1, note_of(data))
    if arguments.growth:
        data = read(arguments.growth)
        pictures["growth"] = picture("How the cost of a request grows", growth(data), 2, note_of(data))
    os.makedirs(arguments.to, exist_ok=True)
    for name, svg in pictures.items():
        path = os.path.join(arguments.to, f"{name}.svg")
        with open(path, "w") as file:
            file.write(svg)
        print(path)


def read(path: str) -> dict:
    with open(path) as file:
        return json.load(file)


def note_of(data: dict) -> str:
    """The machine of the measurement."""
    machine = data.get("machine", {})
    kernel = ".".join(machine.get("kernel", "").removeprefix("Linux ").split(".")[:2])
    return f"{machine.get('cpu', '?')}, {machine.get('cores', '?')} cores, Linux {kernel}"


if __name__ == "__main__":
    main()
