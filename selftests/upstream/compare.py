# SPDX-License-Identifier: GPL-2.0
"""Compares runs of the upstream tests: compare.py OUT SELECTION... (as run.sh
has left it).

Prints KTAP: for each test and each way in which rlo is active, whether all of
its subtests did what they did on the in-tree lo. Writes OUT/differs, the tests
that did not, and OUT/table.rst.
"""

import glob
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import tests  # pylint: disable=wrong-import-position

RLO = ("takeover", "replacement", "napi")
WORDS = {"ok": "pass", "pass": "pass", "passed": "pass", "not ok": "FAIL", "fail": "FAIL", "failed": "FAIL",
         "skip": "skip", "xfail": "xfail", "xpass": "pass"}
FORMS = (
    # KTAP, of whatever depth; "TEST: name   [ OK ]"; "PASS: name"
    re.compile(r"^[#\s]*(?P<word>ok|not ok) +\d+ *-? *(?P<name>.*)$"),
    re.compile(r"^[#\s]*(?P<name>\S.*?)\.*\s*\[ ?(?P<word>OK|PASS|FAIL|SKIP|XFAIL|XPASS|PASSED|FAILED) ?\]", re.I),
    re.compile(r"^[#\s]*(?P<word>PASS|FAIL|SKIP|XFAIL|OK)\b(?:ED)?: *(?P<name>.*)$"),
)
NOISE = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\(?(duration|time)[ =]*[\d.]+ *(ms|us|s)?\)?"), ""),
    (re.compile(r"\b[\d.]+ ?(ms|us|ns|sec|seconds|s|Mbit/s|MB/s)\b"), "T"),
    (re.compile(r"\b(ns\d?|client|server|router|peer|nsclient|nsrouter|src|dst|host\d?)-[A-Za-z0-9]{6,8}\b"), r"\1"),
    (re.compile(r"\btmp\.\w+"), "tmp"),
    # Counters before and after, in names of subtests: a segment that is sent again counts twice.
    (re.compile(r"\b\d+ => \d+\b"), "N => N"),
    (re.compile(r"\s+"), " "),
)


def parse(text, status, forms=FORMS):
    """{subtest: result}, the exit status being one of them."""
    results = {}
    for line in text.splitlines():
        for pattern, by in NOISE:
            line = pattern.sub(by, line)
        for form in forms:
            match = form.match(line)
            if not match:
                continue
            name, _, directive = match["name"].partition("#")
            name, word = name.strip() or "unnamed", WORDS[match["word"].lower()]
            for other in ("skip", "xfail"):
                if directive.strip().lower().startswith(other):
                    word = other
            key, number = name, 1
            while key in results:
                number += 1
                key = "%s #%d" % (name, number)
            results[key] = word
            break
    results["exit status"] = {0: "pass", 4: "skip", 124: "too long"}.get(status, "FAIL")
    return results


class Run:
    """One execution of one test."""

    def __init__(self, directory, row):
        with open(os.path.join(directory, row["log"]), encoding="utf-8", errors="replace") as file:
            self.results = parse(file.read(), row["status"])
        self.packets, self.complaints, self.seconds = row["packets"], row["complaints"], row["seconds"]


def read_runs(out):
    """{test: {mode: [Run]}} in the order of the first boot."""
    runs = {}
    for path in sorted(glob.glob(os.path.join(out, "*/results.jsonl")), key=os.path.getmtime):
        directory = os.path.dirname(path)
        mode = os.path.basename(directory).partition("-")[0]
        with open(path, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                runs.setdefault(row["name"], {}).setdefault(mode, []).append(Run(directory, row))
    return runs


def rate(runs, name, word):
    """How often a subtest had a result."""
    return "%d of %d" % (sum(run.results.get(name, "absent") == word for run in runs), len(runs))


def differences(lo_runs, rlo_runs):
    """What rlo did and lo never did, as text."""
    names = {}
    for run in lo_runs + rlo_runs:
        names.update(dict.fromkeys(run.results))
    found = []
    for name in names:
        allowed = {run.results.get(name, "absent") for run in lo_runs}
        for word in sorted({run.results.get(name, "absent") for run in rlo_runs} - allowed):
            found.append("%s: %s in %s; on lo %s" %
                         (name, word, rate(rlo_runs, name, word), "/".join(sorted(allowed))))
    # Whose transmit path it was.
    for run in rlo_runs:
        if run.packets["lo"] > 0:
            found.append("%d packets went through the in-tree lo" % run.packets["lo"])
        if run.packets["rlo"] == 0 and all(other.packets["lo"] > 0 for other in lo_runs):
            found.append("no packet went through rlo; through lo: %d" % lo_runs[0].packets["lo"])
    said = {text_of(line) for run in lo_runs for line in run.complaints}
    new = [line for run in rlo_runs for line in run.complaints if text_of(line) not in said]
    found += ["the kernel complained: " + line for line in new]
    return found


def text_of(line):
    """A line of the kernel's log without its time."""
    return re.sub(r"^(<\d+>)?\[[^]]*\] ?", "", line)


def unsteady(runs):
    """Subtests that did not always do the same, with the rate of what they did less often."""
    found = []
    for name in dict.fromkeys(name for run in runs for name in run.results):
        words = [run.results.get(name, "absent") for run in runs]
        if len(set(words)) > 1:
            rare = min(sorted(set(words)), key=words.count)
            found.append("%s: %s in %s" % (name, rare, rate(runs, name, rare)))
    return found


def summary(runs):
    """What the runs had in common, for the table: 12 pass, 1 skip."""
    count = {}
    for name, word in runs[0].results.items():
        if name != "exit status" or len(runs[0].results) == 1:
            count[word] = count.get(word, 0) + 1
    return ", ".join("%d %s" % (number, word) for word, number in sorted(count.items(), key=lambda c: c[0].lower()))


def packets(runs, key):
    """The middle one of the numbers of packets."""
    numbers = sorted(run.packets[key] for run in runs)
    return numbers[len(numbers) // 2]


def table_row(name, modes, why):
    """A line of the table in the documentation."""
    cells = [name]
    for mode in ("lo",) + RLO:
        if mode not in modes:
            cells.append("not run")
        elif mode == "lo":
            cells.append(summary(modes[mode]))
        else:
            cells.append("differs" if differences(modes["lo"], modes[mode]) else "the same")
    cells.append("{:,}".format(packets(modes["lo"], "lo")))
    return "   * - " + "\n     - ".join(cells + [why]) + "\n"


def main():
    """KTAP of all tests."""
    out = sys.argv[1]
    runs = {name: modes for name, modes in read_runs(out).items() if "lo" in modes}
    listed = tests.read(os.path.join(HERE, "tests.list"))
    left_out = tests.left_out(listed, sys.argv[2:])
    why = {test.name: test.why for test in listed}
    differ, number = [], 0
    print("KTAP version 1\n1..%d" % (sum(mode in modes for modes in runs.values() for mode in RLO) + len(left_out)))
    for name, modes in runs.items():
        for text in unsteady(modes["lo"]):
            print("# unsteady on lo: %s: %s" % (name, text))
        for mode in RLO:
            if mode not in modes:
                continue
            number += 1
            found = differences(modes["lo"], modes[mode])
            for text in found:
                print("# %s: %s: %s" % (mode, name, text))
            skip = all(run.results == {"exit status": "skip"} for run in modes["lo"])
            print("%s %d %s, %s%s" % ("not ok" if found else "ok", number, name, mode,
                                      " # SKIP on lo too" if skip else ""))
            if found and name not in differ:
                differ.append(name)
    for test in left_out:
        number += 1
        print("ok %d %s # SKIP %s" % (number, test.name, test.why))
    with open(os.path.join(out, "differs"), "w", encoding="utf-8") as file:
        file.writelines(name + "\n" for name in differ)
    with open(os.path.join(out, "table.rst"), "w", encoding="utf-8") as file:
        file.writelines(table_row(name, modes, why.get(name, "")) for name, modes in runs.items())


if __name__ == "__main__":
    main()
