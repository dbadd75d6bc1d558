"""Lay libwherry out as an install prefix: library, header, and what pkg-config and CMake find it by.

Cargo gives an archive, and the library is linked here: only so do its symbols have a version, and what names
them for debuggers a file of its own. Everything is found relative to where it stands, so that the prefix can
be moved. ``make libwherry`` runs this.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent

PKG_CONFIG = """prefix=${pcfiledir}/../..
includedir=${prefix}/include
libdir=${prefix}/lib

Name: libwherry
Description: Run WebAssembly components, sandboxed
Version: @VERSION@
Cflags: -I${includedir}
Libs: -L${libdir} -Wl,-rpath,${libdir} -lwherry
"""

CMAKE = """get_filename_component(_wherry_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET Wherry::wherry)
  add_library(Wherry::wherry SHARED IMPORTED)
  set_target_properties(Wherry::wherry PROPERTIES
    IMPORTED_LOCATION "${_wherry_prefix}/lib/libwherry.so.@ABI@"
    IMPORTED_SONAME "libwherry.so.@ABI@"
    INTERFACE_INCLUDE_DIRECTORIES "${_wherry_prefix}/include")
endif()
unset(_wherry_prefix)
"""

CMAKE_VERSION = """set(PACKAGE_VERSION "@VERSION@")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
"""


def lay_out(archive: Path, prefix: Path) -> Path:
    """Links the library of ``archive`` into ``prefix`` unless it is there already; gives its path."""
    abi = found(r"WHERRY_ABI_VERSION (\d+)", HERE / "include" / "wherry.h")
    version = found(r'(?m)^version = "(.+)"$', HERE.parent.parent / "Cargo.toml")
    library = prefix / "lib" / f"libwherry.so.{abi}"
    library.parent.mkdir(parents=True, exist_ok=True)
    # With and without the compiler the archive has one name: which one was linked is noted.
    note = library.with_name(".wherry-archive")
    state = archive.stat()
    identity = f"{state.st_size} {state.st_mtime_ns}"
    if not library.exists() or not note.exists() or note.read_text() != identity:
        link(archive, library)
        note.write_text(identity)
    development = library.parent / "libwherry.so"
    development.unlink(missing_ok=True)
    development.symlink_to(library.name)
    texts = {
        "lib/pkgconfig/wherry.pc": PKG_CONFIG,
        "lib/cmake/Wherry/WherryConfig.cmake": CMAKE,
        "lib/cmake/Wherry/WherryConfigVersion.cmake": CMAKE_VERSION,
    }
    for name, text in texts.items():
        path = prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("@VERSION@", version).replace("@ABI@", abi))
    headers = [HERE / "include" / "wherry.h", *(HERE.parent.parent / "sdk" / "c").glob("*.h")]
    (prefix / "include").mkdir(exist_ok=True)
    for header in headers:
        shutil.copyfile(header, prefix / "include" / header.name)
    return library


def link(archive: Path, library: Path) -> None:
    """Makes the library, with the names of its functions in ``<library>.debug`` beside it."""
    whole = library.with_name(library.name + ".whole")
    names = library.with_name(library.name + ".debug")
    flags = [f"-soname,{library.name}", f"--version-script={HERE / 'wherry.map'}", "--gc-sections"]
    # It has threads and handlers of its own: once loaded, it stays.
    flags += ["-z,defs", "-z,relro", "-z,now", "-z,nodelete", "--whole-archive"]
    words = [f"-Wl,{flag}" for flag in flags]
    system = ["-Wl,--no-whole-archive", "-lgcc_s", "-lpthread", "-ldl", "-lm"]
    run("cc", "-shared", "-o", whole, *words, archive, *system)
    run("objcopy", "--only-keep-debug", whole, names)
    # The old library may be in use: it is replaced, and not written over.
    done = library.with_name(library.name + ".done")
    run("objcopy", "--strip-all", f"--add-gnu-debuglink={names}", whole, done)
    whole.unlink()
    done.replace(library)


def run(*words: str | Path) -> None:
    """Runs a tool, which has to succeed."""
    done = subprocess.run([str(word) for word in words], capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise SystemExit(f"error: `{words[0]}` failed:\n{done.stderr}")


def found(pattern: str, path: Path) -> str:
    """What a file says in one place."""
    match = re.search(pattern, path.read_text())
    if match is None:
        raise SystemExit(f"error: `{path}` does not say `{pattern}`")
    return match[1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("archive", type=Path, help="the archive that cargo built: `libwherry.a`")
    parser.add_argument("prefix", type=Path, help="the folder to lay it out in")
    arguments = parser.parse_args()
    made = lay_out(arguments.archive.resolve(), arguments.prefix.resolve())
    print(f"{made}, {made.stat().st_size / 1e6:.1f} MB")
