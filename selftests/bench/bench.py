#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make bench: every row in every lane, lo against rlo; table, JSON and a report in HTML.

    bench.py OUT [--lanes exact,driver,vm,uml] [--rows PATTERN] [--quick | --check]

Runs in the sysroot; selftests/bench/run.sh calls it. --check adds results as
KTAP: ratios below 0.99 in the exact lane and a driver of more than 1.10 of lo's
instructions fail. --quick is a test of the benchmark itself: all rows, tiny
amounts, one repetition, no statement about speed.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import driver
import report
import rows

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parent.parent
LEAST_RATIO = 0.99

# Lane: what it is, seconds of a sample (0: fixed amounts), fewest and most repetitions, seconds that all of it
# takes on a quiet machine.
LANES = {
    "exact": ("1 CPU, time is counted in instructions", 0, (5, 15), 420),
    "vm": ("2 CPUs", 0.4, (7, 7), 400),
    "uml": ("2 CPUs, native speed, user mode Linux", 0.3, (7, 7), 300),
}
DRIVER_SECONDS = 60


class Failure(Exception):
    """A lane could not be measured."""


class Progress:
    """How far it is, and how long it will take: by what it took so far."""

    def __init__(self, lane, estimate, samples):
        self.lane, self.estimate, self.samples = lane, estimate, max(1, samples)
        self.start, self.done, self.said = time.monotonic(), 0, 0.0

    def say(self, text, now=False):
        """A line every few seconds."""
        moment = time.monotonic()
        if not now and moment - self.said < 10:
            return
        self.said = moment
        spent = moment - self.start
        left = spent / self.done * (self.samples - self.done) if self.done > 10 else self.estimate - spent
        print("bench: %s lane, %s, about %d s left" % (self.lane, text, max(1, left)), flush=True)


def command_of(lane, out, arguments):
    """What runs measure.py in a lane."""
    if lane == "uml":
        return [str(HERE / "uml-run.sh"), str(out)] + arguments
    return [str(HERE / "../vm/run"), "--lane", lane, "--settle", "0", "--time-limit", "3600", "--module", "rlo.ko",
            "--out", str(out), "--", "python3", "-B", str(HERE / "measure.py"), "/out/flows"] + arguments


def run_lane(lane, out, options):
    """All rows in one lane: {"start": ..., "rows": [...], "failures": [...]}"""
    what, seconds, reps, estimate = LANES[lane]
    # The rows with several threads are for rlo's own settings, where a second CPU counts; elsewhere only by name.
    several = set(options.sides) <= set(rows.BEYOND) and (lane != "exact" or options.rows != "*")
    chosen = rows.chosen(options.rows, several)
    if options.quick:
        seconds, reps, estimate = 0, (1, 1), 60
    estimate = estimate * len(chosen) / len(rows.ROWS)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("flows", "pairs"):
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-o", str(out / name),
                        str(HERE / (name + ".c"))], check=True)
    arguments = ["--rows", options.rows, "--sides", ",".join(options.sides), "--reps", str(reps[0]), str(reps[1]), "--seconds", str(seconds)]
    if options.quick:
        arguments += ["--scale", "0.05"]
    if several:
        arguments += ["--several"]
    if lane == "vm" and not options.quick:
        arguments += ["--netns", "20"]
    found = {"lane": lane, "what": what, "sides": options.sides, "rows": [], "failures": [], "netns": {}}
    progress = Progress(lane, estimate, len(chosen) * len(options.sides) * sum(reps) // 2)
    print("bench: %s lane: %d rows, %d to %d repetitions" % (lane, len(chosen), *reps), flush=True)
    row_number = {row.key: number for number, row in enumerate(chosen, 1)}
    with open(out / "output.log", "w", encoding="utf-8") as log, \
            subprocess.Popen(command_of(lane, out, arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        for line in process.stdout:
            log.write(line)
            text = line.rstrip("\r\n")
            if not text.startswith("@{"):
                if "rnet:" in text:
                    print(text, flush=True)
                continue
            event = json.loads(text[1:])
            take(event, found, progress, row_number, chosen)
    if "end" not in found or process.returncode:
        raise Failure("the %s lane ended early (status %s): see %s" % (lane, process.returncode, out / "output.log"))
    vm = out / "vm.json"
    found["accelerator"] = json.loads(vm.read_text())["accelerator"] if vm.exists() else lane
    found["seconds"] = round(time.monotonic() - progress.start, 1)
    return found


def take(event, found, progress, row_number, chosen):
    """One line of measure.py."""
    kind = event.pop("event")
    if kind in ("start", "end"):
        found[kind] = event
    elif kind == "sample":
        progress.done += 1
        number = row_number[event["row"]]
        progress.say("row %d of %d, %s, repetition %d, %s"
                     % (number, len(chosen), chosen[number - 1].title, event["rep"], event["mode"]))
    elif kind == "row":
        found["rows"].append(event)
        # Rows may end early: what is expected follows what was done.
        progress.samples = progress.done * len(chosen) // row_number[event["row"]]
    elif kind == "again":
        print("bench: %s, %s: tried again: %s" % (event["row"], event["mode"], event["text"]), flush=True)
    elif kind == "failure":
        found["failures"].append(event)
        print("bench: FAILED: %s: %s" % (event["title"], event["text"]), flush=True)
    elif kind == "netns":
        found["netns"] = event["milliseconds"]


def results(data):
    """KTAP results of what repeats exactly: (passed, text)."""
    for lane in data["lanes"]:
        for row in lane["rows"]:
            if lane["lane"] != "exact":
                continue
            for mode in lane["sides"][1:]:
                middle = report.ratio(row, mode)[0]
                yield middle >= LEAST_RATIO, "exact: %s, %s: %.4f of lo" % (row["title"], mode, middle)
        if lane["lane"] == "exact":
            clock = lane["start"]["clock"]
            yield 0.98 < clock < 1.02, "exact: an instruction is %.4f ns" % clock
    for (kind, lane), value in driver.ratios(data["driver"]).items() if data["driver"] else ():
        yield value <= driver.LIMIT, "driver: %s, %s: %.3f of lo's instructions" % (driver.KINDS[kind], lane, value)


def quick_results(data):
    """KTAP results of the benchmark itself."""
    for lane in data["lanes"]:
        measured = {row["row"]: row for row in lane["rows"]}
        for row in rows.ROWS:
            samples = measured.get(row.key, {}).get("samples", {})
            yield (all(samples.get(mode, [0])[0] > 0 for mode in lane["sides"]),
                   "%s: %s has a number for all sides" % (lane["lane"], row.title))


def ktap(found):
    """Prints results; how many failed."""
    found = list(found)
    print("TAP version 13\n1..%d" % len(found))
    for number, (passed, text) in enumerate(found, 1):
        print("%s %d bench %s" % ("ok" if passed else "not ok", number, text))
    return sum(not passed for passed, _ in found)


def main():
    """Every lane in turn, then what it all came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--lanes", default="exact,driver,vm,uml")
    parser.add_argument("--rows", default="*")
    parser.add_argument("--sides", type=lambda text: text.split(","), default=list(rows.MODES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    lanes = options.lanes.split(",")
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    if unknown := set(lanes) - set(LANES) - {"driver"}:
        parser.error("no such lane: %s; there are: %s driver" % (" ".join(unknown), " ".join(LANES)))
    whole = 60 if options.quick else sum(DRIVER_SECONDS if lane == "driver" else LANES[lane][3] for lane in lanes)
    print("bench: %s: takes about %d min on a quiet machine; a busy one changes the time, not the exact lane's ratios"
          % (", ".join(lanes), max(1, round(whole / 60))), flush=True)
    data = {"command": "selftests/bench/run.sh " + os.environ.get("RNET_BENCH_ARGS", ""), "quick": options.quick,
            "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "lanes": [], "driver": {}, "failures": []}
    for lane in lanes:
        try:
            if lane == "driver":
                print("bench: driver lane: the driver's own instructions, one by one", flush=True)
                data["driver"] = driver.measure(out / "driver")
                continue
            data["lanes"].append(run_lane(lane, out / lane, options))
            if not options.quick:
                print("\n" + "\n".join(report.table(data["lanes"][-1])) + "\n", flush=True)
        except (Failure, driver.Failure) as failure:
            data["failures"].append(str(failure))
            print("bench: FAILED: %s" % failure, flush=True)
    for lane in data["lanes"]:
        data["failures"] += ["%s: %s: %s" % (lane["lane"], f["title"], f["text"]) for f in lane["failures"]]
    (out / "bench.json").write_text(json.dumps(data, indent=1) + "\n")
    (out / "report.html").write_text(report.page(data))
    (out / "report.txt").write_text(report.text(data))
    if data["driver"] and not options.quick:
        print("\n".join(driver.table(data["driver"])) + "\n")
    for kind, name in (("report (opens in a browser)", "report.html"), ("raw data", "bench.json")):
        print("%s: %s" % (kind, out / name))
    failed = 0
    if options.quick:
        failed = ktap(quick_results(data))
    elif options.check:
        failed = ktap(results(data))
    return 1 if failed or data["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
