#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compiles every case as Kbuild compiles a driver and compares the errors.

A case names its errors at its top, one a line:

    // error: E0382 use of moved value: `skb`

(the code is '-' where rustc has none, or the name of a lint) and marks the line
of each with '//~'.  Every error that rustc reports must be named and on a marked
line, and every named one reported.  'control' instead of errors: it compiles.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile


def command_of_a_driver(mo, sample):
    """The rustc command line of a sample without what names the sample."""
    directory, name = os.path.split(sample)
    with open(os.path.join(mo, directory, f".{name}.cmd"), encoding="utf-8") as file:
        line = file.readline()
    command = line.split(":=", 1)[1].split("; ", 1)[0]
    # Kbuild exports it: the kernel uses features that are not stable yet.
    args, env, source, skip = [], {"RUSTC_BOOTSTRAP": "1"}, None, False
    for arg in shlex.split(command):
        if skip:
            skip = False
        elif not args and re.match(r"[A-Z_]+=", arg):
            key, value = arg.split("=", 1)
            env[key] = value
        elif arg in ("--out-dir", "--crate-name"):
            skip = True
        elif arg.startswith("--emit=") or arg == "-Dwarnings":
            pass
        elif arg.endswith(".rs"):
            source = arg
        else:
            args.append(arg)
    if source is None or "-Funsafe_code" not in args:
        sys.exit(f"{sample}: not the command line of a driver crate: {line}")
    return args, env


def expectations(path):
    control, errors, marks = False, [], set()
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if match := re.match(r"// error: (\S+) (.*)", line):
                errors.append(match.groups())
            elif line.startswith("// control:"):
                control = True
            elif line.strip() == "//~":
                marks.add(number - 1)  # where rustfmt puts it when a line is full
            elif line.rstrip().endswith("//~"):
                marks.add(number)
    return control, errors, marks


def compile_case(path, mo, args, env, out):
    name = os.path.splitext(os.path.basename(path))[0]
    result = subprocess.run(
        args
        + ["--crate-name", name, "--emit=metadata", "--out-dir", out, "--error-format=json", path],
        cwd=mo,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    errors, other = [], []
    for line in result.stderr.splitlines():
        try:
            message = json.loads(line)
        except ValueError:
            other.append(line)
            continue
        if message["level"].startswith("error") and message["spans"]:
            errors.append(message)
        elif message["level"].startswith("error") and "aborting due to" not in message["message"]:
            errors.append(message)
    return result.returncode, errors, other


def lines_of(message, path):
    """The lines of the case that an error points at, through macros."""
    lines = set()
    for span in message["spans"]:
        while span is not None:
            if span["is_primary"] and os.path.samefile(span["file_name"], path):
                lines.add(span["line_start"])
            expansion = span["expansion"]
            if expansion is not None:
                expansion["span"]["is_primary"] = span["is_primary"]
            span = expansion["span"] if expansion else None
            if span is not None and not os.path.exists(span["file_name"]):
                span = None
    return lines


def judge(path, mo, args, env, out):
    """Returns what is wrong with a case, as lines; nothing if all is as expected."""
    control, expected, marks = expectations(path)
    status, errors, other = compile_case(path, mo, args, env, out)
    rendered = [line for e in errors for line in (e["rendered"] or e["message"]).splitlines()]
    if control:
        return rendered + other if status != 0 or errors else []
    if not expected or not marks:
        return ["the case does not say which error it expects, or where"]
    if status == 0:
        return ["compiles, but must not: " + "; ".join(" ".join(e) for e in expected)]
    problems, missing = [], list(expected)
    for error in errors:
        code = (error["code"] or {}).get("code") or "-"
        found = [e for e in expected if e[0] == code and e[1] in error["message"]]
        if not found:
            problems.append(f"unexpected error {code}: {error['message']}")
        elif not lines_of(error, path) & marks:
            problems.append(f"error {code} is not on a marked line: {error['message']}")
        elif found[0] in missing:
            missing.remove(found[0])
    problems += [f"missing error {code}: {text}" for code, text in missing]
    return problems + rendered + other if problems else []


def main():
    mo, sample, cases = sys.argv[1], sys.argv[2], sys.argv[3:]
    args, env = command_of_a_driver(mo, sample)
    failed = 0
    print("TAP version 13")
    print(f"1..{len(cases)}")
    with tempfile.TemporaryDirectory() as out:
        for number, path in enumerate(sorted(cases), 1):
            problems = judge(path, mo, args, env, out)
            for line in problems:
                print(f"# {line}")
            name = os.path.splitext(os.path.basename(path))[0]
            print(f"{'not ' if problems else ''}ok {number} compile-fail {name}", flush=True)
            failed += bool(problems)
    print(f"# Totals: pass:{len(cases) - failed} fail:{failed} xfail:0 xpass:0 skip:0 error:0")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
