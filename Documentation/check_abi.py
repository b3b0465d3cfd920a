#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""check_abi.py REPO: compares the sysfs files that the code makes with the ABI pages.

From the source of each driver crate it takes the tables of attributes, the
directories that they are put into, and the module parameters; that makes the
paths, and who may read and write each. Documentation/ABI has to say the same:
each path in a What: line, (RO), (RW) or (WO) at the beginning of its description
and its mode; and no path that the code does not make. Prints KTAP.
"""

import glob
import os
import re
import sys

MODES = {"ro": (0o444, "RO"), "rw": (0o644, "RW"), "wo": (0o200, "WO"), "root_ro": (0o400, "RO"), "root_rw": (0o600, "RW")}

TABLE = re.compile(r"static\s+(\w+)\s*:\s*\[Attribute<.*?;\s*(\d+)\s*\]\s*=\s*\[(.*?)\n?\];", re.S)
ATTRIBUTE = re.compile(r'Attribute::(ro|rw|wo|root_ro|root_rw)\(\s*c"([^"]+)"')
PLACE = re.compile(r'(?:(Dir::under_kernel|Dir::under_device|Group::new)\(([^;]*?)c"([^"]+)"|\.(child)\(([^;]*?))'
                   r"\s*,\s*&(\w+)\s*,", re.S)
PARAMETER = re.compile(r"module_param!\s*\{.*?static\s+(\w+)\s*:.*?mode:\s*0o(\d+)", re.S)
NAME = re.compile(r'rnet::module!\s*\{.*?name:\s*"([^"]+)"', re.S)


def crates(repo):
    """{name of module: its source}, without comments."""
    found = {}
    for top in glob.glob(repo + "/rust/*/main.rs") + glob.glob(repo + "/samples/*.rs"):
        files = glob.glob(os.path.dirname(top) + "/*.rs") if top.endswith("/main.rs") else [top]
        text = ""
        for path in sorted(files):
            with open(path, encoding="utf-8") as file:
                text += re.sub(r"^\s*//.*$", "", file.read(), flags=re.M)
        name = NAME.search(text).group(1)
        if "pci::Registration" in text:
            # The layer makes these for every driver of a NIC, under the driver's name.
            with open(repo + "/rust/rnet/nic/activity.rs", encoding="utf-8") as file:
                text += re.sub(r"^\s*//.*$", "", file.read(), flags=re.M)
            text += 'Group::new(c"%s", &FILES, activity);' % name
        found[name] = text
    return found


# A tree below /sys/kernel: let dir = parent.child(NAME, TABLE, ...), and tables that are chosen by a function.
TREE = re.compile(r"Dir::under_kernel\([^;]*\)\?;.*\.child(?:_of)?\(", re.S)
CHILD = re.compile(r'(?:let\s+(\w+)\s*=\s*)?(\w+)\s*\.child(?:_of)?\(\s*(?:c"([^"]+)"|&cpu_name\(\w+\)\?|(\w+)\.name\(\)),'
                   r'\s*(?:&(\w+)|&\[([^\]]*)\]),')
MADE = re.compile(r"\.child(?:_of)?\(")
# A function that chooses one more table: fn NAME(...) -> &'static [Attribute<...>] { match ... => &TABLE }
CHOOSER = re.compile(r"fn\s+(\w+)\([^)]*\)\s*->\s*&'static \[Attribute<\w+>\]\s*\{(.*?)\n\}", re.S)


def tree(name, text, tables, problems):
    """As made(), for a module with a tree of directories; stages and the like are <stage>."""
    top = re.search(r'let\s+(\w+)\s*=\s*Dir::under_kernel\([^;]*?c"([^"]+)"\s*,\s*&(\w+)', text)
    places, paths, placed = {top.group(1): "/sys/kernel/" + top.group(2)}, {}, {top.group(3)}
    chosen = {function: set(re.findall(r"&(\w+)", body)) for function, body in CHOOSER.findall(text)}
    found = [(top.group(3), places[top.group(1)])]
    children = CHILD.findall(text)
    if len(children) != len(MADE.findall(text)):
        problems.append("%s: of %d directories %d are understood" % (name, len(MADE.findall(text)), len(children)))
    for variable, parent, literal, named, table, several in children:
        place = "%s/%s" % (places[parent], literal or ("<%s>" % named if named else "cpu<N>"))
        places[variable] = place
        words = re.findall(r"(&?)(\w+)(?:\(\w+\))?", several) if several else [("&", table)]
        found += [(each, place) for is_table, word in words for each in ({word} if is_table else chosen.get(word, {word}))]
    for table, place in found:
        placed.add(table)
        if table not in tables:
            problems.append("%s: %s is no table of attributes" % (name, table))
        for access, attribute in tables.get(table, ()):
            paths["%s/%s" % (place, attribute)] = MODES[access]
    for variable, file in re.findall(r'(\w+)\s*\.report\(\s*c"([^"]+)"', text):
        paths["%s/%s" % (places[variable], file)] = MODES["root_ro"]
    problems += ["%s: the table %s is put nowhere" % (name, table) for table in set(tables) - placed]
    return paths, problems


def made(name, text):
    """{path: (mode, letters)} of the files that a module makes, and what could not be understood."""
    tables, paths, problems = {}, {}, []
    for table, length, body in TABLE.findall(text):
        tables[table] = ATTRIBUTE.findall(body)
        if len(tables[table]) != int(length):
            problems.append("%s: %s attributes in %s, %d understood" % (name, length, table, len(tables[table])))
    if len(ATTRIBUTE.findall(text)) != sum(map(len, tables.values())):
        problems.append("%s: there are attributes outside of a table" % name)
    if re.search(r"\.mode\(0o", text):
        problems.append("%s: .mode() is not understood by this check" % name)
    if TREE.search(text):
        return tree(name, text, tables, problems)
    tops = [m for m in PLACE.finditer(text) if m.group(1)]
    for match in PLACE.finditer(text):
        kind, _, directory, child, arguments, table = match.groups()
        if table not in tables:
            problems.append("%s: %s is no table of attributes" % (name, table))
            continue
        if child:
            # In the directories of this module under a device: by its name, or one for each CPU.
            literal = re.search(r'c"([^"]+)"', arguments)
            bases = ["/sys/class/net/<iface>/%s/%s" % (top.group(3), literal.group(1) if literal else "cpu<N>")
                     for top in tops if "device" in top.group(1)]
        elif kind == "Dir::under_kernel":
            bases = ["/sys/kernel/" + directory]
        else:
            bases = ["/sys/class/net/<iface>/" + directory]
        for access, attribute in tables.pop(table):
            for base in bases:
                paths["%s/%s" % (base, attribute)] = MODES[access]
    problems += ["%s: the table %s is put nowhere" % (name, table) for table in tables]
    for parameter, mode in PARAMETER.findall(text):
        mode = int(mode, 8)
        paths["/sys/module/%s/parameters/%s" % (name, parameter)] = (mode, "RW" if mode & 0o222 else "RO")
    return paths, problems


def documented(repo):
    """{path: description} of what the pages say, and {path: page}."""
    described, pages = {}, {}
    for page in sorted(glob.glob(repo + "/Documentation/ABI/*/*")):
        with open(page, encoding="utf-8") as file:
            blocks = re.split(r"\n(?=What:)", file.read())
        what = []
        for block in blocks:
            what.append(re.match(r"What:\s*(\S+)", block).group(1))
            if "Description:" not in block:
                continue
            for path in what:
                described[path] = block.partition("Description:")[2].strip()
                pages[path] = os.path.relpath(page, repo)
            what = []
    return described, pages


def main():
    """One result for each file, one for each page's surplus."""
    repo = sys.argv[1]
    described, pages = documented(repo)
    results, everything = [], {}
    for name, text in sorted(crates(repo).items()):
        paths, problems = made(name, text)
        everything.update(paths)
        results.append(("the files of %s are understood" % name, problems))
    for path, (mode, letters) in sorted(everything.items()):
        text, problems = described.get(path), []
        if text is None:
            problems.append("no What: line in Documentation/ABI names it")
        else:
            if not text.startswith("(%s)" % letters):
                problems.append("%s: its description does not begin with (%s)" % (pages[path], letters))
            if "Mode %04o" % mode not in text.replace("\n\t\t", " "):
                problems.append("%s: its description does not say Mode %04o" % (pages[path], mode))
        results.append((path, problems))
    # A directory is documented beside what is in it.
    surplus = [path for path in described if not any(p == path or p.startswith(path + "/") for p in everything)]
    results.append(("no path that the code does not make", ["%s: %s" % (pages[p], p) for p in surplus]))
    failed = 0
    for name, problems in results:
        for problem in problems:
            print("# " + problem)
        failed += bool(problems)
        print("%s abi: %s" % ("not ok" if problems else "ok", name))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
