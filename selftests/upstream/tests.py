# SPDX-License-Identifier: GPL-2.0
"""The list of upstream tests, tests.list."""

import fnmatch
import os


class Test:
    """A line of the list."""

    def __init__(self, line):
        name, self.where, seconds, flags, self.command, self.why = [field.strip() for field in line.split("|", 5)]
        # "net/tls 1.3": the directory and what it is called here; "net/tls" alone is the command as well.
        self.name, self.directory = name, os.path.dirname(name)
        self.command = self.command or "./" + os.path.basename(name)
        self.flags, self.seconds = set(flags), float(seconds)
        # Generous; a slow kernel has more (see vm/README).
        self.limit = (120 + 10 * self.seconds) * float(os.environ.get("RNET_SLOW", "1"))


def read(path):
    """All tests of a list."""
    with open(path, encoding="utf-8") as file:
        return [Test(line) for line in file if line.strip() and not line.startswith("#")]


def select(tests, words):
    """Those to run: --quick, --debug (on the debug kernel: what only it can, too), patterns."""
    patterns = [word for word in words if not word.startswith("--")] or ["*"]
    return [test for test in tests
            if any(fnmatch.fnmatch(test.name, pattern) or test.name == pattern for pattern in patterns)
            and ("q" in test.flags or "--quick" not in words)
            and ("d" not in test.flags or "--debug" in words) and "s" not in test.flags]


def left_out(tests, words):
    """Those that a full run leaves out; why says for what reason."""
    if any(word != "--debug" for word in words):
        return []
    return [test for test in tests if "s" in test.flags or ("d" in test.flags and "--debug" not in words)]
