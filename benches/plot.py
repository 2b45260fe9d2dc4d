#!/usr/bin/env python3
"""Curves of `vpclab bench --json` as data and as pictures, for figures.py. Needs nothing but Python."""
import csv
import math
import os

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 45, 60, 60
COLOURS = ["#1f5fa8", "#c2571a", "#3b7d3b"]


def series(rows):
    """Rows by what their cases have in common: `10,000 flows, plain` belongs to `plain`."""
    out = {}
    for row in rows:
        if row["at"] is not None and row["unit"] == "ns/packet":
            out.setdefault(row["case"].partition(", ")[2] or "vpclab", []).append(row)
    return out


def nice(top):
    step = 10 ** math.floor(math.log10(top))
    step = next(s for s in (step / 5, step / 2, step, step * 2) if top / s <= 6)
    return [i * step for i in range(int(top / step) + 2)]


def picture(topic, lines):
    rows = [row for rows in lines.values() for row in rows]
    low, high = (f(math.log10(row["at"]) for row in rows) for f in (min, max))
    # Ends that the machine's bad moments have drawn out do not press the curves down.
    ticks = nice(max(row["value"]["median"] for row in rows) * 1.1)
    top = ticks[-1]
    span = high - low or 1
    x = lambda at: LEFT + (math.log10(at) - low) / span * (WIDTH - LEFT - RIGHT)
    y = lambda ns: HEIGHT - BOTTOM - min(ns, top) / top * (HEIGHT - TOP - BOTTOM)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">Time of a packet {topic["title"]}</text>',
    ]
    for tick in ticks:
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for at in sorted({row["at"] for row in rows}):
        out.append(f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 5}" stroke="black"/>')
        out.append(f'<text x="{x(at):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{at:,}</text>')
    out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}" stroke="black"/>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{topic["axis"]} (logarithmic)</text>')
    out.append(f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">ns a packet</text>')
    shown = [(name, rows, "value") for name, rows in lines.items()]
    first, points = next(iter(lines.items()))
    same = all(abs(a["floor"]["median"] / b["floor"]["median"] - 1) < 0.5 for r in lines.values() for a, b in zip(points, r))
    shown.append(("floor" if same or len(lines) == 1 else f"floor, {first}", points, "floor"))
    at_x = LEFT
    for n, (name, points, key) in enumerate(shown):
        colour = "#888" if key == "floor" else COLOURS[n % len(COLOURS)]
        dash = ' stroke-dasharray="5 4"' if key == "floor" else ""
        points = [(row["at"], row[key]) for row in points if row[key]]
        path = " ".join(f"{x(at):.1f},{y(v['median']):.1f}" for at, v in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        for at, value in points:
            out.append(f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{y(value["min"]):.1f}" y2="{y(value["max"]):.1f}" stroke="{colour}"/>')
            out.append(f'<circle cx="{x(at):.1f}" cy="{y(value["median"]):.1f}" r="3" fill="{colour}"/>')
        out.append(f'<line x1="{at_x}" x2="{at_x + 24}" y1="40" y2="40" stroke="{colour}" stroke-width="2"{dash}/>')
        out.append(f'<text x="{at_x + 30}" y="44">{name}</text>')
        at_x += 60 + 8 * len(name)
    out.append("</svg>\n")
    return "\n".join(out)


def curve(topic, directory):
    """Writes DIRECTORY/QUESTION.csv and .svg if the topic's figures lie on an axis and are times of a packet."""
    lines = series(topic["rows"])
    if not topic["axis"] or not lines:
        return
    base = os.path.join(directory, topic["key"])
    with open(base + ".csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["series", topic["axis"], "ns_median", "ns_min", "ns_max", "floor_ns_median", "of_floor"])
        for name, rows in lines.items():
            for row in rows:
                cells = [row["value"][k] for k in ("median", "min", "max")] + [row["floor"]["median"]]
                table.writerow([name, row["at"]] + [f"{c:.2f}" for c in cells] + [f'{row["of_floor"]:.4f}'])
    with open(base + ".svg", "w", encoding="utf-8") as file:
        file.write(picture(topic, lines))
