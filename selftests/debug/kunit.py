#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The layer's KUnit suites: loads rnet_kunit.ko and passes its results on."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import re
import subprocess

import kernel
import ktap

RESULTS = "/sys/kernel/debug/kunit"


def suites(source):
    """{suite: cases} that the source code declares."""
    found = {}
    for directory, _, names in os.walk(source):
        for name in names:
            if name.endswith(".rs"):
                text = kernel.read(os.path.join(directory, name))
                for part in re.split(r"kunit_tests\(", text)[1:]:
                    found[part.split(")")[0]] = re.findall(r"#\[test\]\s+fn (\w+)", part)
    return found


@ktap.case(limit=120)
def layer():
    """Every suite that the layer's source declares has run, and each of its cases has passed."""
    if not os.path.exists(RESULTS):
        raise ktap.Skip("no CONFIG_KUNIT")
    want = suites(os.path.join(os.environ.get("RNET_REPO", "."), "rust/rnet"))
    ktap.check(len(want) >= 5, "the source declares %d suites" % len(want))
    subprocess.run(["insmod", "/modules/rnet_kunit.ko"], check=True)
    try:
        for suite, cases in want.items():
            text = kernel.read("%s/%s/results" % (RESULTS, suite))
            ktap.note(text)
            results = re.findall(r"^ +(ok|not ok) \d+ (\w+)", text, re.M)
            ktap.equal("results of " + suite, sorted(results), sorted(("ok", case) for case in cases))
    finally:
        subprocess.run(["rmmod", "rnet_kunit"], check=True)


if __name__ == "__main__":
    sys.exit(ktap.main())
