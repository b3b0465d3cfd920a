# SPDX-License-Identifier: GPL-2.0
"""Throughput of the programs side by side, from programs.jsonl: report.py FILE.

For information: on two emulated CPUs a ratio says nothing by itself. Beside
each lane's median is its spread, half of the distance between its smallest and
largest run.
"""

import json
import statistics
import sys

LANES = ("lo", "takeover", "replacement")


def spread(values):
    """In percent of the median."""
    return 50 * (max(values) - min(values)) / statistics.median(values)


def main():
    """The table."""
    rows = {}
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            key = row["program"], row["what"], row["unit"]
            rows.setdefault(key, {}).setdefault(row["lane"], []).append(row["value"])
    print("%-42s %18s %26s %26s" % ("median (spread)", "lo", "takeover (/lo)", "replacement (/lo)"))
    program = None
    for (name, what, unit), lanes in rows.items():
        if name != program:
            print(name)
            program = name
        text = "  %-40s" % ("%s, %s" % (what, unit))
        base = statistics.median(lanes["lo"]) if "lo" in lanes else None
        for lane in LANES:
            values = lanes.get(lane)
            width = 18 if lane == "lo" else 26
            if not values:
                text += " %*s" % (width, "-")
                continue
            median = statistics.median(values)
            cell = "%.4g (%.0f%%)" % (median, spread(values))
            if lane != "lo" and base:
                cell += " %.2f" % (median / base)
            text += " %*s" % (width, cell)
        print(text)


if __name__ == "__main__":
    main()
