# SPDX-License-Identifier: GPL-2.0
"""Test cases as functions, results as KTAP.

A case runs in a process of its own, which may enter namespaces, drop
privileges or die; what it started is ended with it.  A program that ends with
sys.exit(ktap.main()) has the exit status that kselftests have: 0 passed,
1 failed, 4 everything skipped.
"""

import errno
import fnmatch
import json
import os
import select
import signal
import sys
import time
import traceback

PASS, FAIL, SKIP = 0, 1, 4

# How much slower the kernel is than the stock one: limits are multiplied by it.
SLOW = float(os.environ.get("RNET_SLOW", "1"))
# How many of a hundred repetitions are enough there.
PART = 1 if SLOW == 1 else 0.25
# Without the cases that only try the kernel's own driver; those that compare with it still do.
BRIEF = os.environ.get("RNET_BRIEF") == "1"

_cases = []
_finally = []


class Skip(Exception):
    """The case cannot be tried here."""


class Failure(Exception):
    """What was seen is not what has to be."""


def case(variants=None, limit=60):
    """Makes a function a case, or one for each variant, which it is given."""
    def add(function):
        name = function.__name__
        if variants is None:
            _cases.append((name, function, (), limit))
        for variant in variants or ():
            _cases.append(("%s.%s" % (name, variant), function, (variant,), limit))
        return function
    return add


def finally_(function):
    """Makes a function run when all cases are done, in the main process."""
    _finally.append(function)
    return function


def check(condition, text):
    """Fails with `text` unless `condition`."""
    if not condition:
        raise Failure(text)


def equal(what, got, want):
    """Fails unless two values are equal, and says which."""
    if got != want:
        raise Failure("%s: %r, not %r" % (what, got, want))


def error_of(function, *args):
    """The name of the error that a call fails with, or "" if it does not."""
    try:
        function(*args)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return ""


def fails(name, what, function, *args):
    """Fails unless the call fails with this error ("" for none; several: "A|B")."""
    got = error_of(function, *args)
    if got not in name.split("|"):
        raise Failure("%s: %s, not %s" % (what, got or "no error", name or "success"))


def wait_for(what, function, seconds=10):
    """Fails unless the function becomes true soon."""
    seconds *= SLOW
    end = time.monotonic() + seconds
    while not function():
        if time.monotonic() > end:
            raise Failure("after %g s still not: %s" % (seconds, what))
        time.sleep(0.02)


def note(text):
    """A line of diagnostics."""
    for line in str(text).rstrip().splitlines():
        print("# " + line, flush=True)


def run(function, *args):
    """Calls a function and turns what comes of it into (status, text, value)."""
    try:
        return PASS, "", function(*args)
    except Skip as skip:
        return SKIP, str(skip), None
    except Failure as failure:
        frame = traceback.extract_tb(failure.__traceback__)
        line = [f.lineno for f in frame if f.filename == os.path.realpath(sys.argv[0])]
        return FAIL, "%s (line %s)" % (failure, ", ".join(map(str, line))), None
    except BaseException:  # pylint: disable=broad-except
        return FAIL, traceback.format_exc(), None


def in_child(function, *args, limit=60, group=True):
    """The same in a child process; its value has to fit into JSON."""
    read, write = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            if group:
                os.setpgid(0, 0)
            os.close(read)
            result = json.dumps(run(function, *args)).encode()
            while result:
                result = result[os.write(write, result):]
            sys.stdout.flush()
        finally:
            os._exit(0)
    os.close(write)
    limit *= SLOW
    data, end = b"", time.monotonic() + limit
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([read], [], [], left)[0]:
            result = (FAIL, "took longer than %g s" % limit, None)
            break
        part = os.read(read, 65536)
        data += part
        # Helpers that it left behind hold the pipe open: a whole result ends it.
        if not part or data.endswith(b"]"):
            try:
                result = tuple(json.loads(data))
                break
            except ValueError:
                if not part:
                    result = (FAIL, "died without a result", None)
                    break
    os.close(read)
    if group:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os.waitpid(pid, 0)
    return result


def value_of(function, *args, limit=60):
    """What a function returns in a child process; fails if that fails."""
    status, text, value = in_child(function, *args, limit=limit, group=False)
    if status == SKIP:
        raise Skip(text)
    if status != PASS:
        raise Failure(text)
    return value


def main(first=None):
    """Runs the cases that the arguments (patterns) name, or all; --list lists them.

    Skips everything if first(), in the main process, raises Skip.
    """
    patterns = [a for a in sys.argv[1:] if not a.startswith("--")]
    cases = [c for c in _cases if any(fnmatch.fnmatch(c[0], p) for p in patterns or ["*"])]
    if BRIEF and not patterns:
        cases = [c for c in cases if not c[0].endswith(".lo")] or cases
    if "--list" in sys.argv[1:]:
        print("\n".join(c[0] for c in cases))
        return PASS
    status, text, _ = run(first) if first else (PASS, "", None)
    if status != PASS:
        print("KTAP version 1\n" + ("1..1" if status == FAIL else "1..0 # SKIP " + text))
        if status == FAIL:
            note(text)
            print("not ok 1 before the cases", flush=True)
        return status
    print("KTAP version 1\n1..%d" % len(cases), flush=True)
    count = {PASS: 0, FAIL: 0, SKIP: 0}
    for number, (name, function, args, limit) in enumerate(cases, 1):
        start = time.monotonic()
        status, text, _ = in_child(function, *args, limit=limit)
        count[status] += 1
        if status != PASS:
            note(text)
        line = "%s %d %s" % ("not ok" if status == FAIL else "ok", number, name)
        if status == SKIP:
            line += " # SKIP " + (text.splitlines() or [""])[0]
        print(line, flush=True)
        note("%s: %.1f s" % (name, time.monotonic() - start))
    for function in _finally:
        run(function)
    print("# Totals: pass:%d fail:%d skip:%d" % (count[PASS], count[FAIL], count[SKIP]), flush=True)
    if count[FAIL]:
        return FAIL
    return PASS if count[PASS] or not count[SKIP] else SKIP
