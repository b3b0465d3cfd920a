# SPDX-License-Identifier: GPL-2.0
"""What was measured, as a table for a terminal and as a page with charts."""

import html
import statistics

import driver
import rows

COLORS = {"lo": "lo", "takeover": "take", "replacement": "repl", "rlo": "take", "napi": "repl", "steered": "steer",
          "sockmap": "take"}

CSS = """
:root { color-scheme: light dark; --fg: #1c1c1e; --dim: #6b7280; --bg: #ffffff; --line: #d9dce1; --box: #f5f6f8;
  --lo: #9aa1ac; --take: #1f77b4; --repl: #d9792b; --steer: #2a9d5c; --bad: #c0392b; }
@media (prefers-color-scheme: dark) {
  :root { --fg: #e6e7ea; --dim: #9aa1ac; --bg: #16181c; --line: #363b44; --box: #1f2228;
    --lo: #7d8590; --take: #5aa9e6; --repl: #f0a060; --steer: #63c98d; --bad: #ff7b6b; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.note, figcaption { color: var(--dim); }
figure { margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; width: 100%; }
th, td { text-align: right; padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
svg text { font: 12px system-ui, sans-serif; fill: var(--fg); } svg text.dim { fill: var(--dim); }
svg line.grid { stroke: var(--line); } svg line.one { stroke: var(--dim); }
.lo { fill: var(--lo); stroke: var(--lo); } .take { fill: var(--take); stroke: var(--take); }
.repl { fill: var(--repl); stroke: var(--repl); } .steer { fill: var(--steer); stroke: var(--steer); }
.bad { color: var(--bad); }
.key { display: inline-block; width: 0.8em; height: 0.8em; margin: 0 0.3em 0 1em; border-radius: 50%; }
.key.lo { background: var(--lo); } .key.take { background: var(--take); } .key.repl { background: var(--repl); }
.key.steer { background: var(--steer); }
pre { background: var(--box); padding: 0.8rem; overflow-x: auto; font-size: 0.85rem; }
"""


def ratio(row, mode):
    """(median, least, most) of the ratios to lo, repetition by repetition."""
    found = [b / a for a, b in zip(row["samples"]["lo"], row["samples"][mode])]
    return statistics.median(found), min(found), max(found)


def spread(samples):
    """How far apart the repetitions are, in percent of their median."""
    middle = statistics.median(samples)
    return 100 * (max(samples) - min(samples)) / middle if middle else 0.0


def title(lane):
    """What the lane is, in a line."""
    start = lane["start"]
    text = "%s lane: %s" % (lane["lane"], lane["what"])
    if lane["lane"] == "exact":
        text += " (%.3f ns each)" % start["clock"]
    elif lane["lane"] == "vm":
        text += " under %s" % lane["accelerator"].upper()
    return text + ", kernel %s" % start["kernel"]


def remark(lane):
    """What to believe of it."""
    return {
        "exact": "Believe differences of 0.5 % and more. Caches and a second CPU do not show here.",
        "vm": "Believe no difference smaller than the spread. For information.",
        "uml": "Believe no difference smaller than the spread. Here rlo's shims are calls, not inlined. For information.",
    }[lane["lane"]]


def table(lane):
    """The rows of a lane, for a terminal."""
    yield title(lane)
    yield "%-32s" % "" + "".join("%12s" % side for side in lane["sides"]) \
        + "".join("%9s%17s" % ("ratio", "least to most") for _ in lane["sides"][1:]) + "%8s%4s" % ("spread", "n")
    for row in lane["rows"]:
        samples = row["samples"]
        cells = "%-32s" % row["title"] + "".join("%12.2f" % statistics.median(samples[mode]) for mode in lane["sides"])
        for mode in lane["sides"][1:]:
            cells += "%9.4f%8.3f to %5.3f" % ratio(row, mode)
        yield cells + "%7.1f%%%4d  %s" % (max(map(spread, samples.values())), len(samples["lo"]), row["unit"])
    for failure in lane["failures"]:
        yield "%-32s FAILED: %s" % (failure["title"], failure["text"])
    yield "ratio: %s; the median of the ratios of each repetition." % ", then ".join(
        "%s to %s" % (side, lane["sides"][0]) for side in lane["sides"][1:])
    yield "spread: of the repetitions of one side, the widest. %s" % remark(lane)
    if lane["netns"]:
        times = {side: statistics.median(values) for side, values in lane["netns"].items()}
        yield "creating a namespace (ip netns add), median of %d: lo %.1f ms, replacement %.1f ms" % (
            len(lane["netns"]["lo"]), times["lo"], times["rlo"])


def text(data):
    """All of it, for a terminal."""
    lines = []
    for lane in data["lanes"]:
        lines += list(table(lane)) + [""]
    if data["driver"]:
        lines += list(driver.table(data["driver"])) + [""]
    lines += ["FAILED: " + failure for failure in data["failures"]]
    return "\n".join(lines) + "\n"


# --- the page ------------------------------------------------------------------

def esc(value):
    """Text in HTML."""
    return html.escape(str(value))


def ratio_chart(lane):
    """Each row's ratios to lo: the median as a dot, least to most as a line."""
    values = [value for row in lane["rows"] for mode in lane["sides"][1:] for value in ratio(row, mode)]
    low, high = min(values + [0.97]), max(values + [1.03])
    low, high = low - (high - low) * 0.03, high + (high - low) * 0.03
    left, width, step = 230, 660, 30
    height = step * len(lane["rows"]) + 40

    def x(value):
        return left + (value - low) / (high - low) * width

    parts = ['<svg viewBox="0 0 %d %d" width="100%%" role="img" aria-label="ratios to lo">' % (left + width + 20, height)]
    tick = next(t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if (high - low) / t <= 10)
    mark = int(low / tick) * tick
    while mark <= high:
        if mark >= low:
            parts.append('<line class="%s" x1="%.1f" x2="%.1f" y1="14" y2="%d"/><text class="dim" x="%.1f" y="%d" '
                         'text-anchor="middle">%.2f</text>' % ("one" if abs(mark - 1) < tick / 2 else "grid", x(mark), x(mark),
                                                               height - 26, x(mark), height - 10, mark))
        mark += tick
    for number, row in enumerate(lane["rows"]):
        y = 14 + step * number + step / 2
        parts.append('<text x="%d" y="%.1f" text-anchor="end">%s</text>' % (left - 10, y + 4, esc(row["title"])))
        for mode, shift in zip(lane["sides"][1:], (-6, 0, 6) if len(lane["sides"]) > 3 else (-5, 5)):
            middle, least, most = ratio(row, mode)
            parts.append('<g class="%s"><title>%s, %s: %.4f (%.4f to %.4f)</title><line stroke-width="2" x1="%.1f" '
                         'x2="%.1f" y1="%.1f" y2="%.1f"/><circle cx="%.1f" cy="%.1f" r="4"/></g>'
                         % (COLORS[mode], esc(row["title"]), mode, middle, least, most, x(least), x(most), y + shift,
                            y + shift, x(middle), y + shift))
    return "\n".join(parts) + "</svg>"


def driver_chart(found):
    """The driver's own instructions, as bars."""
    most = max(counts["total"] for lanes in found.values() for counts in lanes.values())
    left, width, step = 230, 600, 20
    parts, y = [], 8
    for title_, lanes in driver.grouped(found):
        for mode in rows.MODES:
            total, own = lanes[mode]["total"], sum(lanes[mode]["own"].values())
            if mode == rows.MODES[0]:
                parts.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (left - 10, y + 13, esc(title_)))
            parts.append('<g class="%s"><title>%s: %d, of which own code %d</title><rect x="%d" y="%d" width="%.1f" height="%d"'
                         ' fill-opacity="0.55" stroke="none"/><rect x="%d" y="%d" width="%.1f" height="%d" stroke="none"/></g>'
                         '<text x="%.1f" y="%d">%d (own code %d)</text>'
                         % (COLORS[mode], mode, total, own, left, y, total / most * width * 0.75, step - 4, left, y,
                            own / most * width * 0.75, step - 4, left + total / most * width * 0.75 + 8, y + 13, total, own))
            y += step
        y += 12
    return ('<svg viewBox="0 0 %d %d" width="100%%" role="img" aria-label="instructions per packet">' % (left + width + 60, y)
            + "\n".join(parts) + "</svg>")


def key(sides):
    """Which colour is which."""
    return " ".join('<span class="key %s"></span>%s' % (COLORS[side], side) for side in sides)


def lane_section(lane):
    """A lane as chart and table."""
    yield "<h2>%s</h2><p class=note>%s</p>" % (esc(title(lane)), esc(remark(lane)))
    if not lane["rows"]:
        return
    yield "<figure>%s<figcaption>%s. Ratio to lo, more is better: the median as a dot, least to most as a line." \
          "</figcaption></figure>" % (ratio_chart(lane), key(lane["sides"]))
    yield "<figure><table><tr><th>row<th>unit<th>%s<th>%s<th>spread<th>n</tr>" % (
        "<th>".join(lane["sides"]), "<th>".join("%s / %s" % (side, lane["sides"][0]) for side in lane["sides"][1:]))
    for row in lane["rows"]:
        samples = row["samples"]
        yield "<tr><td>%s<td>%s" % (esc(row["title"]), esc(row["unit"]))
        yield "".join("<td>%.2f" % statistics.median(samples[mode]) for mode in lane["sides"])
        for mode in lane["sides"][1:]:
            middle, least, most = ratio(row, mode)
            low = lane["lane"] == "exact" and middle < 0.99
            yield '<td%s title="%.4f to %.4f">%.4f' % (" class=bad" if low else "", least, most, middle)
        yield "<td>%.1f %%<td>%d</tr>" % (max(map(spread, samples.values())), len(samples["lo"]))
    yield "</table></figure>"


def page(data):
    """One file that needs no other."""
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
             "<title>rlo against lo</title><style>%s</style>" % CSS,
             "<h1>rlo against the kernel's lo</h1><p class=note>%s UTC, %s</p>" % (esc(data["date"]), esc(data["command"]))]
    if data["failures"]:
        parts.append("<p class=bad>%s</p>" % "<br>".join(esc("FAILED: " + failure) for failure in data["failures"]))
    for lane in data["lanes"]:
        parts += lane_section(lane)
    if data["driver"]:
        parts.append("<h2>The driver's own instructions for a packet</h2><p class=note>From the entry of ndo_start_xmit to its "
                     "return, callees and counters included, without the backlog that all share; dark: own code, "
                     "without what it calls. Counted one by one.</p><figure>%s<figcaption>%s</figcaption></figure><pre>%s</pre>"
                     % (driver_chart(data["driver"]), key(rows.MODES), esc("\n".join(driver.table(data["driver"])))))
    return "\n".join(parts) + "\n"
