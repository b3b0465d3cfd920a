#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rustdoc.py BUILD REPO OUT CRATE...: documentation of crates that were built.

The kernel's build has no rustdoc for modules outside its tree. What it noted
about the compilation of a crate (.lib.o.cmd) has everything that rustdoc needs
as well: the same options, less those that say what to emit.
"""

import os
import shlex
import subprocess
import sys

# Options of rustc that rustdoc does not have; the number of words each takes.
DROP = {"--out-dir": 2, "--crate-type": 2}


def noted(build, crate):
    """The words of the command that compiled a crate."""
    path = os.path.join(build, "rust", crate, ".lib.o.cmd")
    with open(path, encoding="utf-8") as file:
        line = file.readline()
    return shlex.split(line.partition(":=")[2].split(" && ")[0].split(";")[0])


def options(words):
    """(environment, options and source) for rustdoc."""
    env = dict(word.split("=", 1) for word in words[:words.index("rustc")])
    args, skip = [], 0
    for word in words[words.index("rustc") + 1:]:
        if skip:
            skip -= 1
        elif word in DROP:
            skip = DROP[word] - 1
        elif not word.startswith(("--emit", "-Wclippy", "-Aclippy", "-Zbinary_dep", "-Wmissing_docs")):
            args.append(word)
    return env, args


def main():
    """All crates, one after the other: links between them need the order."""
    build, repo, out = sys.argv[1:4]
    for crate in sys.argv[4:]:
        env, args = options(noted(build, crate))
        env = dict(os.environ, RUSTC_BOOTSTRAP="1", RNET_OBJ=build, **env)
        command = ["rustdoc"] + args + ["--output", out, "--enable-index-page"]
        if crate == "rnet":
            command += ["-Dwarnings", "-Drustdoc::broken_intra_doc_links"]
        status = subprocess.run(command, cwd=build, env=env, check=False).returncode
        if status:
            print("rustdoc of %s failed; sources are in %s" % (crate, repo), file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
