#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""census.py [--mo DIR] [--root DIR]: counts unsafe Rust code, crate by crate.

Fails when a driver crate (rust/* but the layer, samples/*) has any or names the
raw bindings, or, with the build directory DIR, when it was compiled without
-Funsafe_code; and in the layer (rust/rnet, rust/bindings/lib.rs) when

- an unsafe block or impl has no SAFETY comment directly above its statement, or
  one that says next to nothing;
- an unsafe function or trait has no "# Safety" section in its documentation.
  What C calls (unsafe extern "C" fn) needs none: nobody writes a call to it, and
  the comments of the blocks in it name the context.

Works on tokens: comments, strings and attributes are not code.
"""

import argparse
import collections
import glob
import os
import re
import sys

Token = collections.namedtuple("Token", "kind text line")

LEXER = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>//[^\n]*)
  | (?P<block>/\*)
  | (?P<raw>(?:b|c)?r(?P<hashes>\#*)".*?"(?P=hashes))
  | (?P<string>(?:b|c)?"(?:[^"\\]|\\.)*")
  | (?P<char>b?'(?:[^'\\\n]|\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.))')
  | (?P<lifetime>'[A-Za-z_][A-Za-z0-9_]*)
  | (?P<ident>(?:r\#)?[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>[0-9][A-Za-z0-9_.]*)
  | (?P<punct>=>|->|::|.)
    """,
    re.VERBOSE | re.DOTALL,
)


def block_comment_end(text, start):
    depth, at = 0, start
    while at < len(text):
        if text.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif text.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                return at
        else:
            at += 1
    return at


def tokens_of(text):
    """Tokens with comments among them, without white space."""
    tokens, at, line = [], 0, 1
    while at < len(text):
        match = LEXER.match(text, at)
        kind, end = match.lastgroup, match.end()
        if kind == "hashes":
            kind = "raw"
        if kind == "block":
            kind, end = "comment", block_comment_end(text, at)
        if kind == "number":
            # 0..n is a number and a range, not a number with dots.
            dots = text.find("..", at, end)
            end = dots if dots > 0 else end
        piece = text[at:end]
        if kind != "space":
            tokens.append(Token(kind, piece, line))
        line += piece.count("\n")
        at = end
    return tokens


class Finding(collections.namedtuple("Finding", "path line what")):
    def __str__(self):
        return f"{self.path}:{self.line}: {self.what}"


class Source:
    """One file: its unsafe code by kind, and what is wrong with it."""

    def __init__(self, path, text):
        self.path = path
        self.lines = text.count("\n")
        self.tokens = tokens_of(text)
        self.code = [i for i, t in enumerate(self.tokens) if t.kind != "comment"]
        self.counts = collections.Counter()
        self.findings = []
        self.used = {t.text for t in self.tokens if t.kind == "ident"}
        self.sites = []
        self.scan()

    def following(self, position, count):
        """The text of the next tokens of code after the one at a position in self.code."""
        end = position + 1 + count
        texts = [self.tokens[i].text for i in self.code[position + 1 : end]]
        return texts + [""] * (count - len(texts))

    def classify(self, position):
        after = self.following(position, 4)
        if after[0] == "extern":
            rest = after[2:] if after[1].startswith('"') else after[1:]
            if rest[0] == "fn":
                return "type" if rest[1] == "(" else "extern fn"
            return "extern block"
        if after[0] == "fn":
            return "type" if after[1] == "(" else "fn"
        if after[0] in ("impl", "trait"):
            return after[0]
        if after[0] == "{":
            return "block"
        before = [self.tokens[i].text for i in self.code[max(0, position - 2) : position]]
        if after[0] == "(" and before[-2:] in (["#", "["], ["!", "["]):
            return "attribute"
        return "other"

    def in_trait_impl(self, position):
        """Whether the item belongs to an implementation of a trait, which documents it."""
        depth = 0
        for at in range(position - 1, -1, -1):
            text = self.tokens[self.code[at]].text
            if text == "}":
                depth += 1
            elif text == "{":
                if depth == 0:
                    header = []
                    for back in range(at - 1, -1, -1):
                        word = self.tokens[self.code[back]].text
                        if word in (";", "{", "}"):
                            break
                        header.insert(0, word)
                    plain = [
                        w for w, n in zip(header, header[1:] + [""]) if not (w == "for" and n == "<")
                    ]
                    return "impl" in plain and "for" in plain
                depth -= 1
        return False

    def comments_above(self, position):
        """The comments of the statement or item that the token is in, as one text each kind."""
        at = self.code[position] - 1
        comments, depth = [], 0
        while at >= 0:
            token = self.tokens[at]
            if token.kind == "comment":
                if depth == 0:
                    comments.insert(0, token.text)
            elif token.text in (")", "]"):
                depth += 1
            elif token.text in ("(", "["):
                depth = max(0, depth - 1)
            elif depth == 0 and token.text in (";", "{", "}"):
                break
            at -= 1
        plain = [c[2:].strip() for c in comments if not c.startswith(("///", "//!", "/**"))]
        docs = [c.strip("/* ").strip() for c in comments if c.startswith(("///", "/**"))]
        return plain, docs

    def report(self, position, what):
        self.findings.append(Finding(self.path, self.tokens[self.code[position]].line, what))

    def scan(self):
        for position, index in enumerate(self.code):
            token = self.tokens[index]
            if token.kind != "ident" or token.text != "unsafe":
                continue
            kind = self.classify(position)
            self.counts[kind] += 1
            self.sites.append((token.line, kind))
            plain, docs = self.comments_above(position)
            if kind in ("block", "impl", "other", "extern block", "attribute"):
                self.check_comment(position, kind, plain)
            elif kind in ("fn", "trait") and not (kind == "fn" and self.in_trait_impl(position)):
                if "# Safety" not in docs:
                    self.report(position, f'unsafe {kind} without a "# Safety" section')

    def check_comment(self, position, kind, plain):
        starts = [n for n, text in enumerate(plain) if text.startswith("SAFETY:")]
        if not starts:
            self.report(position, f"unsafe {kind} without a SAFETY comment directly above")
            return
        text = " ".join(plain[starts[-1] :])[len("SAFETY:") :].strip()
        words = re.findall(r"[\w`]+", text)
        if len(words) < 2 or len(text) < 12 and text != "See above.":
            self.report(position, f'SAFETY comment says next to nothing: "{text}"')
        elif re.search(r"\b(TODO|FIXME|XXX|trust me|obvious(ly)?|hopefully)\b", text, re.I):
            self.report(position, f'SAFETY comment gives no reason: "{text}"')


LAYER = ("rust/rnet", "rust/bindings")
RAW_NAMES = ("net_bindings", "__nb", "bindings")
KINDS = ("block", "fn", "extern fn", "impl", "trait", "other")


def crates(root):
    """Crates by their place: the layer, the drivers, the programs; and the files of each."""
    found = {}
    for directory in sorted(glob.glob(os.path.join(root, "rust", "*", ""))):
        name = os.path.relpath(directory, root)
        files = glob.glob(os.path.join(directory, "**", "*.rs"), recursive=True)
        if files:
            found[name] = sorted(files)
    for path in sorted(glob.glob(os.path.join(root, "samples", "*.rs"))):
        found[os.path.relpath(path, root)] = [path]
    tools = glob.glob(os.path.join(root, "tools", "**", "*.rs"), recursive=True)
    tools = [t for t in tools if "/target/" not in t]
    if tools:
        found["tools"] = sorted(tools)
    return found


def role(crate):
    if crate in LAYER:
        return "layer"
    return "program" if crate == "tools" else "driver"


def check_flags(root, crate, mo):
    """A driver crate was compiled with unsafe code forbidden, and no way around it."""
    source = crate if crate.endswith(".rs") else os.path.join(crate, "main.rs")
    directory, name = os.path.split(source)
    path = os.path.join(mo, directory, f".{name[:-3]}.o.cmd")
    try:
        with open(path, encoding="utf-8") as file:
            command = file.readline().split(" && ")[0].split()
    except OSError:
        return [Finding(source, 1, "is not built by Kbuild: is it in obj-m and rnet-drivers?")]
    if "-Funsafe_code" not in command:
        return [Finding(source, 1, "compiled without -Funsafe_code: add it to rnet-drivers in Kbuild")]
    if any(arg.startswith("--cap-lints") for arg in command):
        return [Finding(source, 1, "compiled with --cap-lints")]
    return []


def main():
    parser = argparse.ArgumentParser(description="Counts unsafe Rust code.")
    parser.add_argument("--mo", help="a build directory, to check the compilers' flags")
    parser.add_argument("--root", default=os.path.join(os.path.dirname(__file__), ".."))
    args = parser.parse_args()
    findings = []
    header = ["crate", "", "files", "lines", "blocks", "fns", "C fns", "impls", "traits", "other"]
    rows = [header]
    for crate, files in crates(args.root).items():
        counts, lines = collections.Counter(), 0
        for path in files:
            with open(path, encoding="utf-8") as file:
                source = Source(os.path.relpath(path, args.root), file.read())
            counts += source.counts
            lines += source.lines
            if role(crate) == "layer":
                findings += source.findings
            elif role(crate) == "driver":
                findings += [
                    Finding(source.path, line, f"unsafe {kind} in a driver crate")
                    for line, kind in source.sites
                ]
                findings += [
                    Finding(source.path, 1, f"a driver crate names {name}")
                    for name in sorted(source.used & set(RAW_NAMES))
                ]
        if args.mo and role(crate) == "driver":
            findings += check_flags(args.root, crate, args.mo)
        counts["other"] += counts["extern block"] + counts["attribute"]
        rows.append([crate, role(crate), len(files), lines] + [counts[k] for k in KINDS])
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(header))]
    for row in rows:
        cells = [str(c).ljust(w) if n < 2 else str(c).rjust(w) for n, (c, w) in enumerate(zip(row, widths))]
        print("  ".join(cells))
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings" if findings else "nothing to complain about")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
