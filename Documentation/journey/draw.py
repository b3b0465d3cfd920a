#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""draw.py WALK.json: the way of a packet as a picture (SVG), from what `rsoftnet walk --json` has printed.

A column for the program and one for each CPU, time from top to bottom (not to scale: the times stand beside the
steps), and a line that follows the packet.
"""

import html
import json
import sys

STEP, TOP, LEFT, COLUMN, BAR = 26, 64, 96, 330, 12
COLOURS = {"program": "#555555", "packet": "#1565c0", "answer": "#2e7d32", "socket": "#6a1b9a", "cpu": "#bdbdbd"}
NAMES = {"program": "the program", "packet": "the packet", "answer": "the answer", "socket": "its socket",
         "cpu": "the CPU, for any packet"}


def text(x, y, content, **more):
    """A line of text, with a rim of white, so that it can be read where a line passes."""
    more = {"paint_order": "stroke", "stroke": "white", "stroke_width": 4} | more
    attributes = "".join(' %s="%s"' % (key.replace("_", "-"), value) for key, value in more.items())
    return '<text x="%d" y="%d"%s>%s</text>' % (x, y, attributes, html.escape(content))


def draw(walk):
    """The picture."""
    steps = walk["steps"]
    cpus = sorted({step["cpu"] for step in steps if step["cpu"] is not None})
    columns = [None] + cpus
    x_of = {cpu: LEFT + (90 if at else 0) + max(at - 1, 0) * COLUMN for at, cpu in enumerate(columns)}
    width, height = x_of[columns[-1]] + COLUMN, TOP + STEP * len(steps) + 40
    out = ['<?xml version="1.0" encoding="UTF-8"?>', "<!-- SPDX-License-Identifier: GPL-2.0 -->",
           '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" '
           'font-size="12">' % (width, height, width, height), '<rect width="100%" height="100%" fill="white"/>',
           text(8, 20, "%s to %s through %s" % (walk["protocol"].upper(), walk["address"], walk["device"]),
                font_size=14, font_weight="bold"), text(8, 46, "ns", fill="#555555")]
    for cpu in columns:
        name = "program" if cpu is None else "CPU %d" % cpu
        out.append(text(x_of[cpu] - 4, 46, name, font_weight="bold"))
        out.append('<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#dddddd" stroke-width="2"/>' % (
            x_of[cpu], TOP - 8, x_of[cpu], height - 32))
    where = [(x_of[step["cpu"]], TOP + STEP * at + 6, step) for at, step in enumerate(steps)]
    followed = [(x, y) for x, y, step in where if step["who"] != "cpu"]
    out.append('<polyline fill="none" stroke="#90caf9" stroke-width="3" points="%s"/>' % (
        " ".join("%d,%d" % point for point in followed)))
    for x, y, step in where:
        out.append(text(8, y + 4, str(step["ns"]), fill="#555555"))
        out.append('<circle cx="%d" cy="%d" r="5" fill="%s"/>' % (x, y, COLOURS[step["who"]]))
        label = step["stage"] if step["who"] == "program" else "%s: %s" % (step["stage"], step["text"])
        out.append(text(x + BAR, y + 4, label, fill="#757575" if step["who"] == "cpu" else "#000000"))
    x = 8
    for who in [who for who in COLOURS if any(step["who"] == who for step in steps)]:
        out.append('<circle cx="%d" cy="%d" r="5" fill="%s"/>' % (x + 5, height - 16, COLOURS[who]))
        out.append(text(x + 14, height - 12, NAMES[who]))
        x += 30 + 7 * len(NAMES[who])
    return "\n".join(out + ["</svg>"]) + "\n"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.stdout.write(draw(json.load(file)))
