# SPDX-License-Identifier: GPL-2.0
"""Sphinx configuration. `make doc` builds with warnings as errors.

Roles of our own, so that the text cannot name what is not there:

:src:`PATH`           a file or directory of this repository
:cfail:`CASE`         a case of selftests/compile-fail
:test:`PROGRAM CASE`  a case of a test program below selftests/
:rust:`MODULE::ITEM`  an item of crate rnet, or ITEM::METHOD; links to rustdoc
"""

import pathlib
import re

from docutils import nodes

REPO = pathlib.Path(__file__).resolve().parent.parent

project = "rnet"
copyright = "The rnet developers, GPL-2.0"
extensions = []
exclude_patterns = ["ABI"]
highlight_language = "none"
html_theme = "sphinx_rtd_theme"
html_show_sphinx = False
html_copy_source = False
nitpicky = True
smartquotes = False


def literal(rawtext, text, good, problem, inliner, lineno, uri=None):
    """The text as a literal, or a warning, which `make doc` makes an error."""
    if not good:
        message = inliner.reporter.warning(problem, line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    node = nodes.literal(rawtext, text)
    return [nodes.reference(rawtext, "", node, refuri=uri) if uri else node], []


def src(_role, rawtext, text, lineno, inliner, options=None, content=None):
    """A path in the repository."""
    return literal(rawtext, text, (REPO / text).exists(), f"there is no {text}", inliner, lineno)


def cfail(_role, rawtext, text, lineno, inliner, options=None, content=None):
    """A compile-fail case."""
    path = REPO / "selftests/compile-fail/cases" / (text + ".rs")
    return literal(rawtext, text, path.exists(), f"there is no case {text}", inliner, lineno)


def test(_role, rawtext, text, lineno, inliner, options=None, content=None):
    """A case of a test program."""
    text = " ".join(text.split())
    program, _, case = text.partition(" ")
    path = REPO / "selftests" / program
    good = path.exists() and f"\ndef {case}(" in path.read_text(encoding="utf-8")
    return literal(rawtext, text, good, f"there is no test {text}", inliner, lineno)


def rustdoc(text):
    """Where rustdoc describes it, or None."""
    parts = text.split("::")
    # In its own module, as far as the text names one: a name may be there twice.
    top = REPO / "rust/rnet"
    files = sorted((top / parts[0]).rglob("*.rs")) + sorted(top.glob(parts[0] + ".rs")) or sorted(top.rglob("*.rs"))
    source = "".join(p.read_text(encoding="utf-8") for p in files)
    if text.endswith("!"):
        found = re.search(rf"macro_rules! {parts[-1][:-1]}\b", source)
        return f"macro.{parts[-1][:-1]}.html" if found else None
    method = len(parts) > 1 and parts[-2][0].isupper()
    item = parts[-2] if method else parts[-1]
    for keyword in ("struct", "enum", "trait", "fn"):
        if re.search(rf"^\s*pub (?:const |unsafe )*{keyword} {item}\b", source, re.M):
            page = "/".join(parts[:-2 if method else -1] + [f"{keyword}.{item}.html"])
            if not method:
                return page
            if re.search(rf"\bfn {parts[-1]}\b", source):
                anchor = "tymethod" if keyword == "trait" and parts[-1] in REQUIRED else "method"
                return f"{page}#{anchor}.{parts[-1]}"
    if re.search(rf"^\s*pub mod {item}\b", source, re.M):
        return "/".join(parts + ["index.html"])
    return None


# Methods of traits without a default: rustdoc links to them by another name.
REQUIRED = ("start_xmit", "init", "event", "hit")


def rust(_role, rawtext, text, lineno, inliner, options=None, content=None):
    """An item of crate rnet."""
    page = rustdoc(text)
    parts = text.split("::")
    shown = "::".join(parts[-2:]) if len(parts) > 1 and parts[-2][0].isupper() else parts[-1]
    return literal(rawtext, shown, page, f"rnet has no {text}", inliner, lineno, f"../rustdoc/rnet/{page}")


def setup(app):
    """Registers the roles."""
    for name, function in (("src", src), ("cfail", cfail), ("test", test), ("rust", rust)):
        app.add_role(name, function)
