#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Do the censuses see what they must, and only that?  KTAP; run by scripts/lint.sh."""

import importlib.util
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
import census  # pylint: disable=wrong-import-position


def module_of(name):
    """A script as a module, although there is a dot in its name."""
    spec = importlib.util.spec_from_file_location(name.replace(".", "_"), os.path.join(HERE, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


panics = module_of("census.panics")

# Name, code, what is counted, how many findings.
SNIPPETS = [
    ("nothing", "fn f() {}", {}, 0),
    ("line comment", "// unsafe { }\n/// unsafe fn\n//! unsafe impl\nfn f() {}", {}, 0),
    ("block comment", "/* unsafe { /* unsafe fn */ unsafe } */ fn f() {}", {}, 0),
    ("string", 'const A: &str = "unsafe { \\" unsafe"; const B: &[u8] = b"unsafe";', {}, 0),
    ("raw string", 'const A: &str = r#"unsafe "quoted" { }"#; const C: &CStr = c"unsafe";', {}, 0),
    ("string over lines", 'const A: &str = "one\n unsafe {\n";', {}, 0),
    ("character and lifetime", "fn f<'a>(x: &'a u8) { let c = '\"'; let d = '\\''; let e = b'\"'; }", {}, 0),
    ("lint attribute", "#![forbid(unsafe_code)]\n#![deny(unsafe_op_in_unsafe_fn)]", {}, 0),
    ("function pointer type", 'type F = unsafe extern "C" fn(u8); type G = unsafe fn();', {"type": 2}, 0),
    ("block without", "fn f() { unsafe { g() } }", {"block": 1}, 1),
    ("block with", "fn f() {\n// SAFETY: It is valid here.\nunsafe { g() } }", {"block": 1}, 0),
    ("comment above the statement", "fn f() {\n// SAFETY: It is valid here.\nlet x =\nunsafe { g() }; }", {"block": 1}, 0),
    ("statement with an array type", "fn f() {\n// SAFETY: It is valid here.\nlet x: [u8; 2] =\nunsafe { g() }; }", {"block": 1}, 0),
    ("statement with a closure", "fn f() {\n// SAFETY: It is valid here.\na(|| { b(); }).c(unsafe { g() }); }", {"block": 1}, 0),
    ("comment in a closure", "fn f() {\na(|| { b();\n// SAFETY: It is valid here.\nd() }).c(unsafe { g() }); }", {"block": 1}, 1),
    ("comment above another statement", "fn f() {\n// SAFETY: It is valid here.\nlet y = 1;\nunsafe { g() } }", {"block": 1}, 1),
    ("one comment for two", "fn f() {\n// SAFETY: It is valid here.\nlet y = unsafe { a() };\nunsafe { g() } }", {"block": 2}, 1),
    ("two in one statement", "fn f() {\n// SAFETY: It is valid here.\nlet y = (unsafe { a() }, unsafe { b() }); }", {"block": 2}, 1),
    ("field of a literal", "fn f() -> S { S {\n// SAFETY: It is valid here.\nx: unsafe { g() } } }", {"block": 1}, 0),
    ("arm of a match", "fn f(x: X) { match x {\n// SAFETY: It is valid here.\nX::A(p) => unsafe { p.g() },\nX::B => 0 } }", {"block": 1}, 0),
    ("doc comment is none", "fn f() {\n/// SAFETY: It is valid here.\nunsafe { g() } }", {"block": 1}, 1),
    ("ordinary comment is none", "fn f() {\n// It is valid here.\nunsafe { g() } }", {"block": 1}, 1),
    ("empty comment", "fn f() {\n// SAFETY:\nunsafe { g() } }", {"block": 1}, 1),
    ("short comment", "fn f() {\n// SAFETY: ok\nunsafe { g() } }", {"block": 1}, 1),
    ("comment over lines", "fn f() {\n// SAFETY:\n// The lock is held here.\nunsafe { g() } }", {"block": 1}, 0),
    ("no reason", "fn f() {\n// SAFETY: TODO: think about it later\nunsafe { g() } }", {"block": 1}, 1),
    ("impl without", "unsafe impl Send for X {}", {"impl": 1}, 1),
    ("impl with", "// SAFETY: It has no state.\nunsafe impl<T> Send for X<T> {}", {"impl": 1}, 0),
    ("impl see above", "// SAFETY: It has no state.\nunsafe impl Send for X {}\n// SAFETY: See above.\nunsafe impl Sync for X {}", {"impl": 2}, 0),
    ("impl with attribute", "// SAFETY: It has no state.\n#[cfg(CONFIG_X)]\nunsafe impl Send for X {}", {"impl": 1}, 0),
    ("fn without", "/// Does it.\npub(crate) unsafe fn f() {}", {"fn": 1}, 1),
    ("fn with", "/// Does it.\n///\n/// # Safety\n///\n/// Must not.\n#[inline]\npub unsafe fn f() {}", {"fn": 1}, 0),
    ("const fn without", "const unsafe fn f() {}", {"fn": 1}, 1),
    ("fn that C calls", 'unsafe extern "C" fn f(x: *mut u8) {\n// SAFETY: The core holds the lock.\nunsafe { g(x) } }', {"extern fn": 1, "block": 1}, 0),
    ("fn that C calls, block without", 'unsafe extern "C" fn f(x: *mut u8) {\nunsafe { g(x) } }', {"extern fn": 1, "block": 1}, 1),
    ("fn of a trait's implementation", "impl<T> Foo for Bar<T> { unsafe fn f() {} }", {"fn": 1}, 0),
    ("fn of a type's own", "impl<T> Bar<T> where T: for<'a> X<'a> { unsafe fn f() {} }", {"fn": 1}, 1),
    ("trait without", "/// A trait.\npub unsafe trait T {}", {"trait": 1}, 1),
    ("trait with", "/// A trait.\n///\n/// # Safety\n///\n/// Must.\npub unsafe trait T {}", {"trait": 1}, 0),
    ("extern block", 'unsafe extern "C" { fn f(); }', {"extern block": 1}, 1),
    ("attribute", "#[unsafe(no_mangle)]\nfn f() {}", {"attribute": 1}, 1),
    ("macro's word", "m! {\n// SAFETY: Initialised before use.\nunsafe(uninit) static X: u8 = 0; }", {"other": 1}, 0),
    ("in a macro", "macro_rules! m { () => { unsafe { f() } } }", {"block": 1}, 1),
    ("range and number", "fn f() { for i in 0..unsafe_count {} let x = 1.0e3; }", {}, 0),
]

# Name, code, what could panic.
PANICS = [
    ("unwrap", "fn f() { x.unwrap(); }", ["unwrap()"]),
    ("expect over lines", "fn f() { x\n.expect(\"y\"); }", ["expect()"]),
    ("unwrap as a function", "fn f() { x.map(Option::unwrap); }", ["unwrap()"]),
    ("unwrap_or", "fn f() { x.unwrap_or(0).unwrap_or_default(); }", []),
    ("unwrap in a comment", "// x.unwrap()\nfn f() { let a = \"x.unwrap()\"; }", []),
    ("panicking macros", "fn f() { panic!(); todo!(); unreachable!(); assert!(x); }", ["panic!", "todo!", "unreachable!", "assert!"]),
    ("assertion by the compiler", "fn f() { const { assert!(C::LEN > 0) }; static_assert!(x); build_assert!(y); }", []),
    ("index", "fn f() { let a = b[0] + c.d[i] + e()[1] + g[0][1]; }", ["indexing with []"] * 5),
    ("slice", "fn f() { g(&a[1..]); }", ["indexing with []"]),
    ("array types and values", "fn f(a: &mut [u8], b: [u8; 4]) -> [u8; 2] { let c = [0; 4]; for x in [1, 2] {} return [1, 2]; }", []),
    ("slice pattern", "fn f() { match a { [_] | [b'o', _] => 1, _ => 2 } }", []),
    ("attribute", "#[inline]\n#[must_use]\nfn f() {}", []),
    ("macro with brackets", "fn f() { kvec![1, 2]; }", []),
    ("lifetime", "fn f<'a>(x: &'a [u8]) {}", []),
]

# Files of a small tree, whether the census passes, what it says.
GOOD = {
    "rust/rnet/lib.rs": "fn f() {\n    // SAFETY: It is valid here.\n    unsafe { g() }\n}\n",
    "rust/rlo/main.rs": "// no unsafe here\nfn f() {}\n",
    "samples/one.rs": "fn f() {}\n",
    "mo/rust/rlo/.main.o.cmd": "savedcmd_x := rustc -Funsafe_code x.rs && llvm-link\n",
    "mo/samples/.one.o.cmd": "savedcmd_x := rustc -Funsafe_code x.rs\n",
}
TREES = [
    ("good tree", {}, True, "nothing to complain about"),
    ("layer without comment", {"rust/rnet/lib.rs": "fn f() { unsafe { g() } }"}, False, "rust/rnet/lib.rs:1: unsafe block without"),
    ("driver with unsafe", {"rust/rlo/state.rs": "fn f() {\n// SAFETY: It is valid here.\nunsafe { g() } }"}, False, "rust/rlo/state.rs:3: unsafe block in a driver"),
    ("sample with unsafe", {"samples/one.rs": "unsafe impl Send for X {}"}, False, "samples/one.rs:1: unsafe impl in a driver"),
    ("new driver with unsafe", {"rust/rnew/main.rs": "unsafe fn f() {}"}, False, "rust/rnew/main.rs:1: unsafe fn in a driver"),
    ("driver names bindings", {"rust/rlo/main.rs": "use net_bindings as nb;"}, False, "names net_bindings"),
    ("driver reaches bindings", {"rust/rlo/main.rs": "use rnet::__nb::x;"}, False, "names __nb"),
    ("driver without the flag", {"mo/samples/.one.o.cmd": "savedcmd_x := rustc x.rs && echo -Funsafe_code\n"}, False, "without -Funsafe_code"),
    ("driver not built", {"rust/rnew/main.rs": "fn f() {}"}, False, "is not built by Kbuild"),
    ("flag undone", {"mo/samples/.one.o.cmd": "savedcmd_x := rustc -Funsafe_code --cap-lints=allow x.rs\n"}, False, "--cap-lints"),
]


def snippet_problem(code, counts, findings):
    source = census.Source("x.rs", code)
    if dict(source.counts) != counts:
        return f"counted {dict(source.counts)}, expected {counts}"
    if len(source.findings) != findings:
        return f"{len(source.findings)} findings, expected {findings}: {[str(f) for f in source.findings]}"
    return None


def panic_problem(code, expected):
    found = [what for _, what in panics.rust(code)]
    return None if found == expected else f"found {found}, expected {expected}"


def tree_problem(changes, passes, says):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**GOOD, **changes}.items():
            path = os.path.join(root, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        command = [sys.executable, "-B", os.path.join(HERE, "census.py")]
        command += ["--root", root, "--mo", os.path.join(root, "mo")]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if (result.returncode == 0) != passes or says not in result.stdout:
        return f"status {result.returncode}: {result.stdout}{result.stderr}"
    return None


def main():
    results = [(name, snippet_problem(*rest)) for name, *rest in SNIPPETS]
    results += [("panics: " + name, panic_problem(*rest)) for name, *rest in PANICS]
    results += [(name, tree_problem(*rest)) for name, *rest in TREES]
    print("TAP version 13")
    print(f"1..{len(results)}")
    for number, (name, problem) in enumerate(results, 1):
        if problem:
            print("\n".join(f"# {line}" for line in problem.splitlines()))
        print(f"{'not ' if problem else ''}ok {number} census: {name}")
    failed = sum(bool(problem) for _, problem in results)
    print(f"# Totals: pass:{len(results) - failed} fail:{failed} xfail:0 xpass:0 skip:0 error:0")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
