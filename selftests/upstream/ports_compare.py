#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ports_compare.py OUT STATUS: whether rigb passes what igb passes (KTAP), by what ports_guest.py has left in OUT.

A test in which igb passes no subtest says nothing, and counts as skipped.
"""

import collections
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import compare  # pylint: disable=wrong-import-position


def read(out, row):
    """{subtest: result} of a run. Tests that speak TAP print other things beside it that look like results."""
    with open(os.path.join(out, row["log"]), encoding="utf-8", errors="replace") as file:
        text = file.read()
    found = compare.parse(text, row["status"], compare.FORMS[:1] if "TAP version" in text else compare.FORMS)
    # The status is no more than the subtests together.
    return {name: word for name, word in found.items() if name != "exit status"} or found


def differences(igb, rigb):
    """What igb passes and rigb does not."""
    return ["%s: %s" % (name, rigb.get(name, "absent"))
            for name, word in igb.items() if word == "pass" and rigb.get(name) != "pass"]


def summary(results):
    """In a few words."""
    return ", ".join("%d %s" % (count, word) for word, count in sorted(collections.Counter(results.values()).items()))


def main():
    """All that there are results of."""
    out, status, tests = sys.argv[1], int(sys.argv[2]), {}
    with open(os.path.join(out, "results.jsonl"), encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            tests.setdefault(row["test"], {})[row["driver"]] = row
    print("KTAP version 1\n1..%d" % (len(tests) + 1))
    count = collections.Counter()
    for number, (test, rows) in enumerate(tests.items(), 1):
        igb, rigb = (read(out, rows[driver]) if driver in rows else {} for driver in ("igb", "rigb"))
        found = ["igb passes, rigb: " + line for line in differences(igb, rigb)]
        found += ["the kernel complained: " + line for line in rows.get("rigb", {}).get("complaints", ())]
        if "rigb" not in rows:
            found.append("rigb was not tried")
        word = "not ok" if found else "ok" if "pass" in igb.values() else "skip"
        count[word] += 1
        print("%s %d drivers/net/%s # %sigb: %s; rigb: %s" % (
            word.replace("skip", "ok"), number, test, "SKIP " if word == "skip" else "", summary(igb), summary(rigb)))
        for line in found:
            print("# " + line)
    word = "not ok" if status else "ok"
    count[word] += 1
    print("%s %d the VM # status %d" % (word, len(tests) + 1, status))
    print("%d passed, %d failed, %d skipped" % (count["ok"], count["not ok"], count["skip"]))
    return int(count["not ok"] > 0 or count["ok"] < 2)


if __name__ == "__main__":
    sys.exit(main())
