#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""census.panics.py [ROOT]: what could panic in the layer, the drivers and the samples.

A panic in the kernel is an oops, and most of this code can be reached by packets,
devices or users.  Reported: unwrap, expect, panicking macros, indexing and slicing
with [] (get() returns an Option), BUG() in shims.  What the compiler evaluates or
what is proven otherwise is in ALLOWED, with the reason.  KUnit suites are left out:
they are not in the modules.
"""

import glob
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import census  # pylint: disable=wrong-import-position

# File, what is on the line, why it cannot panic at run time.
ALLOWED = [
    ("rust/rnet/param.rs", "out[i] = bytes[i]", "const fn, only module_param! calls it, for a static"),
    ("rust/rnet/param.rs", 'panic!("parameter name")', "in the initialiser of a static"),
    ("rust/rlo/protocol.rs", "table[IpProtocol::v", "in the initialiser of a static"),
]

METHODS = {"unwrap", "expect", "unwrap_err", "expect_err", "unwrap_unchecked"}
MACROS = {"panic", "todo", "unimplemented", "unreachable", "assert", "assert_eq", "assert_ne"}
# Words before a [ that begins an array, a slice or a pattern.
KEYWORDS = set(
    "as break const dyn else enum fn for if impl in let loop match move mut ref return static "
    "struct type unsafe use where while yield box".split()
)


def in_const_block(code, at):
    """Whether a token is in const { }, which the compiler evaluates."""
    depth = 0
    for back in range(at - 1, -1, -1):
        text = code[back].text
        if text == "}":
            depth += 1
        elif text == "{":
            if depth == 0 and back > 0 and code[back - 1].text == "const":
                return True
            depth = max(0, depth - 1)
    return False


def rust(text):
    """Yields line and name of what could panic."""
    code = [t for t in census.tokens_of(text) if t.kind != "comment"]
    for at, token in enumerate(code):
        before = code[at - 1] if at else None
        after = code[at + 1].text if at + 1 < len(code) else ""
        if token.kind == "ident" and token.text in METHODS and before and before.text in (".", "::"):
            yield token.line, f"{token.text}()"
        elif token.kind == "ident" and token.text in MACROS and after == "!":
            if not in_const_block(code, at):
                yield token.line, f"{token.text}!"
        elif token.text == "[" and before is not None:
            ends_value = before.text in (")", "]") or before.kind in ("string", "raw")
            named = before.kind == "ident" and before.text not in KEYWORDS
            # &'a [u8] is a type: a lifetime is no value.
            if (ends_value and not closes_attribute(code, at - 1) or named) and not in_const_block(code, at):
                yield token.line, "indexing with []"


def closes_attribute(code, at):
    """Whether the ] at a position ends #[...]."""
    if code[at].text != "]":
        return False
    depth = 0
    for back in range(at, -1, -1):
        depth += {"]": 1, "[": -1}.get(code[back].text, 0)
        if depth == 0:
            return back > 0 and code[back - 1].text in ("#", "!")
    return False


def without_suites(text):
    """The text with KUnit suites as empty lines: from cfg(RNET_KUNIT) to the end of the module."""
    return re.sub(r"^#\[cfg\(RNET_KUNIT\)\]\n#.*\nmod \w+ \{\n(?:.*\n)*?\}$",
                  lambda match: "\n" * match[0].count("\n"), text, flags=re.M)


def c_code(text):
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.search(r"\b(BUG|BUG_ON|panic|WARN|WARN_ON)\s*\(", line):
            yield number, match.group(1)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..")
    used, findings, files = set(), 0, 0
    patterns = [("rust/**/*.rs", rust), ("samples/*.rs", rust), ("rust/helpers/*.[ch]", c_code)]
    for pattern, search in patterns:
        for path in sorted(glob.glob(os.path.join(root, pattern), recursive=True)):
            name = os.path.relpath(path, root)
            if os.path.basename(path) == "kunit.rs":
                continue
            with open(path, encoding="utf-8") as file:
                text = without_suites(file.read())
            files += 1
            for line, what in search(text):
                source = text.splitlines()[line - 1]
                allowed = [n for n, a in enumerate(ALLOWED) if a[0] == name and a[1] in source]
                used.update(allowed)
                if not allowed:
                    print(f"{name}:{line}: {what}: {source.strip()}")
                    findings += 1
    for number, entry in enumerate(ALLOWED):
        if number not in used and os.path.exists(os.path.join(root, entry[0])):
            print(f"{entry[0]}: is allowed {entry[1]!r} but has no such line: remove the entry")
            findings += 1
    print(f"{findings} findings in {files} files, {len(used)} exceptions")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
