//! What a file is, by its bytes and by what it imports.
//!
//! [`recognise`] looks at the first bytes: WebAssembly in one of four forms, or something else, which it names
//! so that the user sees at once what went wrong. [`foreign`] looks at imports: WebAssembly made for a host
//! that Wherry is not, with what to do about it.

use crate::bounds::Shape;
use crate::compiled;
use crate::error::{Error, Kind, Result};

/// What loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A component in binary form.
    Component,
    /// A core module in binary form.
    Module,
    /// The text format of either.
    Text,
    /// Code that Wherry compiled earlier.
    Precompiled,
}

impl Form {
    /// The word for it in messages and listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Form::Component => "component",
            Form::Module => "module",
            Form::Text => "text",
            Form::Precompiled => "precompiled",
        }
    }
}

/// The header of both binary forms: magic, then version and layer ([core specification], 5.5.16, and the
/// component model's Binary.md).
///
/// [core specification]: https://webassembly.github.io/spec/core/binary/modules.html
const MAGIC: &[u8; 4] = b"\0asm";

/// How much of a text is searched for what it looks like.
const TEXT_PROBE: usize = 4096;

/// Says what `bytes` are; `name` is for messages.
///
/// # Errors
/// [`Kind::NotWebAssembly`] for everything that is none of the forms, and [`Kind::Invalid`] for a binary that
/// ends inside its header or has a version that nobody reads.
pub fn recognise(bytes: &[u8], name: &str) -> Result<Form> {
    if bytes.is_empty() {
        return Err(Error::new(Kind::NotWebAssembly, format!("`{name}` is empty")));
    }
    if bytes.starts_with(MAGIC) {
        return binary(bytes, name);
    }
    if MAGIC.starts_with(bytes) {
        return Err(cut_short(bytes, name));
    }
    if compiled::is_compiled(bytes) {
        return Ok(Form::Precompiled);
    }
    if is_text_format(bytes) {
        return Ok(Form::Text);
    }
    if compiled::is_image(bytes) {
        let message =
            format!("`{name}` is compiled code without Wherry's trailer: cut short, or written by wasmtime");
        return Err(Error::new(Kind::Precompiled, message)
            .with_hint("compile it again from its source: `wherry compile`"));
    }
    let looks = looks_like(bytes);
    let message = format!("`{name}` is not WebAssembly: it looks like {}", looks.what);
    let error = Error::new(Kind::NotWebAssembly, message);
    Err(if looks.hint.is_empty() {
        error
    } else {
        error.with_hint(looks.hint)
    })
}

fn binary(bytes: &[u8], name: &str) -> Result<Form> {
    let Some(version) = bytes.get(4..8) else {
        return Err(cut_short(bytes, name));
    };
    match version {
        [1, 0, 0, 0] => Ok(Form::Module),
        [0x0d, 0, 1, 0] => Ok(Form::Component),
        [major, minor, 1, 0] => {
            let version = u16::from_le_bytes([*major, *minor]);
            let message =
                format!("`{name}` is a component in version {version:#x} of the binary format, not 0xd");
            Err(Error::new(Kind::Invalid, message)
                .with_hint("rebuild it with a current tool-chain: this is a draft from before 2023"))
        }
        _ => {
            let version = u32::from_le_bytes([version[0], version[1], version[2], version[3]]);
            Err(Error::new(
                Kind::Invalid,
                format!("`{name}` has WebAssembly version {version:#x}, not 1"),
            ))
        }
    }
}

fn cut_short(bytes: &[u8], name: &str) -> Error {
    Error::new(
        Kind::Invalid,
        format!(
            "`{name}` is cut short: {} of the 8 bytes of its header",
            bytes.len()
        ),
    )
    .with_hint("copy or download it again")
}

/// Words that may follow the first parenthesis of the text format: of a module or component, or, where that is
/// left out, of one of its fields.
const TEXT_WORDS: &[&[u8]] = &[
    b"module",
    b"component",
    b"core",
    b"type",
    b"rec",
    b"import",
    b"func",
    b"table",
    b"memory",
    b"global",
    b"export",
    b"start",
    b"elem",
    b"data",
    b"tag",
    b"instance",
    b"alias",
    b"canon",
    b"@custom",
    b"@producers",
];

/// Whether this is the text format: after blanks and comments, a parenthesis and a word of it.
fn is_text_format(bytes: &[u8]) -> bool {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    loop {
        rest = rest.trim_ascii_start();
        if rest.starts_with(b"(;") {
            match after_block_comment(rest) {
                Some(after) => rest = after,
                None => return true, // the parser says where the comment began
            }
        } else if rest.starts_with(b";;") {
            rest = rest
                .iter()
                .position(|&byte| byte == b'\n')
                .map_or(&[], |end| &rest[end..]);
        } else {
            let Some(inside) = rest.strip_prefix(b"(") else {
                return false;
            };
            let inside = inside.trim_ascii_start();
            let end = inside
                .iter()
                .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'@');
            return TEXT_WORDS.contains(&&inside[..end.unwrap_or(inside.len())]);
        }
    }
}

/// What follows the block comment at the start of `text`; such comments nest.
fn after_block_comment(text: &[u8]) -> Option<&[u8]> {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while let Some(pair) = text.get(at..at + 2) {
        match pair {
            b"(;" => (depth, at) = (depth + 1, at + 2),
            b";)" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(&text[at..]);
        }
    }
    None
}

/// What bytes that are no WebAssembly look like, and what to do; an empty hint where nothing can be said.
struct Looks {
    what: &'static str,
    hint: &'static str,
}

const fn looks(what: &'static str, hint: &'static str) -> Looks {
    Looks { what, hint }
}

const NATIVE: &str = "a native program runs without Wherry; to sandbox it, build it for `wasm32-wasi`";
const UNPACK: &str = "unpack it first, and give the `.wasm` file inside";

/// File formats by the bytes they start with.
const SIGNATURES: &[(&[u8], Looks)] = &[
    (b"\x7fELF", looks("an ELF program or library (Linux)", NATIVE)),
    (
        b"\xcf\xfa\xed\xfe",
        looks("a Mach-O program or library (macOS)", NATIVE),
    ),
    (
        b"\xce\xfa\xed\xfe",
        looks("a Mach-O program or library (macOS)", NATIVE),
    ),
    (
        b"\xca\xfe\xba\xbe",
        looks("a Mach-O universal program or a Java class", NATIVE),
    ),
    (b"MZ", looks("a PE program or library (Windows)", NATIVE)),
    (b"\x1f\x8b", looks("gzip", "unpack it first: `gunzip`")),
    (b"PK\x03\x04", looks("a zip archive", UNPACK)),
    (b"\x28\xb5\x2f\xfd", looks("zstd", "unpack it first: `unzstd`")),
    (b"\xfd7zXZ\0", looks("xz", "unpack it first: `unxz`")),
    (b"BZh", looks("bzip2", "unpack it first: `bunzip2`")),
    (
        b"BC\xc0\xde",
        looks(
            "LLVM bitcode",
            "link it first: `wasm-ld`, or the compiler without `-emit-llvm`",
        ),
    ),
    (
        b"!<arch>\n",
        looks("a static library", "link it into a program first"),
    ),
    (b"\x89PNG", looks("a PNG picture", "")),
    (b"%PDF", looks("a PDF document", "")),
];

/// Where `ustar` stands in a tar archive (POSIX.1-1988).
const TAR_MAGIC: usize = 257;

fn looks_like(bytes: &[u8]) -> Looks {
    if let Some((_, found)) = SIGNATURES.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Looks { ..*found };
    }
    if bytes.get(TAR_MAGIC..TAR_MAGIC + 5) == Some(b"ustar") {
        return looks("a tar archive", UNPACK);
    }
    match std::str::from_utf8(&bytes[..bytes.len().min(TEXT_PROBE)]) {
        Ok(text) if text.contains('\0') => looks("binary data of a format that Wherry does not know", ""),
        Ok(text) => text_looks_like(text),
        // A character may be cut in two by the end of the probe.
        Err(error) if error.error_len().is_none() => {
            text_looks_like(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(_) => looks("binary data of a format that Wherry does not know", ""),
    }
}

/// Words that begin the first line of JavaScript or TypeScript.
const JAVASCRIPT: &[&str] = &[
    "export ",
    "const ",
    "let ",
    "var ",
    "function ",
    "async function",
    "\"use strict\"",
    "'use strict'",
    "(function",
    "(()",
    "//",
    "/*",
];

/// Words that begin the first line of Python which is not a comment. Some begin JavaScript too.
const PYTHON: &[&str] = &["import ", "from ", "def ", "class ", "if __name__", "\"\"\""];

/// What tells such a line of JavaScript from Python.
const JAVASCRIPT_MARKS: &[char] = &['{', ';', '\'', '"'];

fn text_looks_like(text: &str) -> Looks {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let lower = text
        .get(..text.len().min(64))
        .unwrap_or(text)
        .to_ascii_lowercase();
    if let Some(first) = text.strip_prefix("#!") {
        return script(first.lines().next().unwrap_or_default());
    }
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") || lower.starts_with("<head") {
        return looks(
            "an HTML page",
            "a download that needs a login or has moved often ends as one: look at the address",
        );
    }
    if lower.starts_with("<?xml") || lower.starts_with("<svg") {
        return looks("XML", "");
    }
    if lower.starts_with("version https://git-lfs") {
        return looks("a Git LFS pointer", "fetch the file itself: `git lfs pull`");
    }
    if text.starts_with(['{', '[']) {
        return looks("JSON", "");
    }
    // A line that begins with `#` may be a comment of Python's or a heading: what follows decides.
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    let begins = |words: &[&str]| words.iter().any(|word| first.starts_with(word));
    if begins(JAVASCRIPT) || (begins(PYTHON) && !first.starts_with('"') && first.contains(JAVASCRIPT_MARKS)) {
        return script("node");
    }
    if begins(PYTHON) {
        return script("python");
    }
    looks("text", "")
}

fn script(interpreter: &str) -> Looks {
    if interpreter.contains("python") {
        looks(
            "a Python script",
            "run it in CPython for WASI: `wherry run python.wasm SCRIPT`",
        )
    } else if interpreter.contains("node") || interpreter.contains("deno") || interpreter.contains("bun") {
        looks(
            "JavaScript",
            "build it into a component, or give the `.wasm` file that lies beside it",
        )
    } else {
        looks(
            "a shell script",
            "Wherry runs WebAssembly: give the `.wasm` file that the script starts",
        )
    }
}

/// A host that modules are made for and that Wherry is not.
struct Host {
    /// Whether an import `(module, name)` is one of this host's.
    is_its: fn(&str, &str) -> bool,
    made_for: &'static str,
    hint: &'static str,
}

/// The most telling first: a WASIX module also imports WASI, and an Extism plug-in may import `env`.
const HOSTS: &[Host] = &[
    Host {
        is_its: |module, _| matches!(module, "wasix_32v1" | "wasix_64v1" | "wasix_snapshot_preview1"),
        made_for: "WASIX, Wasmer's extension of WASI",
        hint: "build it for plain WASI (`wasm32-wasi`, `wasm32-wasip1` or `wasm32-wasip2`), or run it with Wasmer",
    },
    Host {
        is_its: |module, name| {
            module.starts_with("extism:host/") || (module == "env" && name.starts_with("extism_"))
        },
        made_for: "Extism's plug-in host",
        hint: "call it through an Extism SDK, or build it as a component",
    },
    Host {
        is_its: |module, name| {
            module == "__wbindgen_placeholder__"
                || module == "wbg"
                || name.starts_with("__wbindgen_")
                || name.starts_with("__wbg_")
                || (module.starts_with("./") && module.ends_with("_bg.js"))
        },
        made_for: "JavaScript by wasm-bindgen",
        hint: "build it for `wasm32-wasip2` instead of `wasm32-unknown-unknown`, without wasm-bindgen",
    },
    Host {
        is_its: |module, _| matches!(module, "gojs" | "go"),
        made_for: "JavaScript by Go's `GOOS=js`",
        hint: "build it with `GOOS=wasip1 GOARCH=wasm go build`",
    },
    Host {
        is_its: |module, name| {
            (module == "env"
                && (name.starts_with("emscripten_")
                    || name.starts_with("_emscripten_")
                    || name.starts_with("invoke_")
                    || name.starts_with("__syscall_")
                    || name == "__cxa_throw"))
                // emcc -O2 and above renames imports and exports to letters
                || (module == "a" && name.len() <= 2)
        },
        made_for: "JavaScript by emscripten",
        hint: "build it with WASI instead: `python -m ziglang cc -target wasm32-wasi`, or the WASI SDK; \
               `emcc -sSTANDALONE_WASM` does for programs that need no JavaScript",
    },
    Host {
        is_its: |module, name| module == "env" && name == "abort",
        made_for: "JavaScript by AssemblyScript",
        hint: "build it with `--config ./node_modules/@assemblyscript/wasi-shim/asconfig.json`, or with `--use abort=` \
               when it needs nothing else",
    },
];

/// Refuses what was made for another host, and shared-memory threads.
///
/// # Errors
/// [`Kind::Foreign`] and [`Kind::Unsupported`].
pub fn foreign(shape: &Shape, name: &str) -> Result<()> {
    for host in HOSTS {
        let found = shape
            .imports
            .iter()
            .find(|(module, item)| (host.is_its)(module, item));
        if let Some((module, item)) = found {
            let message = format!(
                "`{name}` was made for {}: it imports `{module}` `{item}`",
                host.made_for
            );
            return Err(Error::new(Kind::Foreign, message).with_hint(host.hint));
        }
    }
    if shape.threads {
        return Err(Error::new(
            Kind::Unsupported,
            format!("`{name}` needs shared-memory threads, which are off"),
        )
        .with_hint("build it without threads (`-pthread`, `wasm32-wasi-threads`)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::{self, Bounds};

    fn refusal(bytes: &[u8]) -> Error {
        recognise(bytes, "f").expect_err("it is no WebAssembly")
    }

    #[test]
    fn the_forms_are_told_by_their_bytes() {
        let table: [(&[u8], Form); 6] = [
            (b"\0asm\x01\0\0\0", Form::Module),
            (b"\0asm\x0d\0\x01\0", Form::Component),
            (b"(module)", Form::Text),
            (
                b"\n ;; a comment\n (; one (; in ;) another ;) (component)",
                Form::Text,
            ),
            (b"\xef\xbb\xbf(module)", Form::Text),
            (b"(; without an end", Form::Text),
        ];
        for (bytes, form) in table {
            assert_eq!(
                recognise(bytes, "f").expect("a form"),
                form,
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn other_formats_are_named() {
        let mut tar = vec![b'x'; 600];
        tar[TAR_MAGIC..TAR_MAGIC + 5].copy_from_slice(b"ustar");
        let table: [(&[u8], &str); 23] = [
            (b"\x7fELF\x02\x01\x01", "an ELF program"),
            (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
            (b"MZ\x90\0", "a PE program"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"PK\x03\x04", "a zip archive"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
            (&tar, "a tar archive"),
            (b"<!DOCTYPE html>", "an HTML page"),
            (b"  <html lang=en>", "an HTML page"),
            (b"import { f } from './f.js';", "JavaScript"),
            (b"// generated\nvar Module;", "JavaScript"),
            (b"#!/usr/bin/env node\n", "JavaScript"),
            (b"(function () {})()", "JavaScript"),
            (b"(hello)", "text"),
            (b"{\"a\": 1}", "JSON"),
            (b"#!/usr/bin/python3\n", "a Python script"),
            (b"# a comment\nimport os\nprint(os)\n", "a Python script"),
            (b"# Title\n\nWords.\n\n    import os\n", "text"),
            (b"import a from \"./a.js\"\n", "JavaScript"),
            (b"#!/bin/sh\n", "a shell script"),
            (b"hello", "text"),
            (b"\xff\xfe\0\x80", "binary data"),
            (&[0; 600], "binary data"),
        ];
        for (bytes, what) in table {
            let error = refusal(bytes);
            assert_eq!(error.kind(), Kind::NotWebAssembly);
            assert!(
                error.message().contains(what),
                "{}: {error}",
                bytes.escape_ascii()
            );
        }
        assert_eq!(refusal(b"").message(), "`f` is empty");
    }

    #[test]
    fn broken_headers_say_what_is_wrong() {
        let table: [(&[u8], &str); 5] = [
            (b"\0as", "3 of the 8 bytes"),
            (b"\0asm\x01\0", "6 of the 8 bytes"),
            (b"\0asm\x02\0\0\0", "WebAssembly version 0x2"),
            (b"\0asm\x0a\0\x01\0", "version 0xa"),
            (b"\0asm\xff\xff\xff\xff", "version 0xffffffff"),
        ];
        for (bytes, words) in table {
            let error = refusal(bytes);
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(error.message().contains(words), "{error}");
        }
    }

    #[test]
    fn modules_for_other_hosts_are_refused() {
        let table = [
            ("wasix_32v1", "thread_spawn_v2", "WASIX"),
            ("extism:host/env", "input_length", "Extism"),
            ("env", "extism_alloc", "Extism"),
            ("./app_bg.js", "__wbg_log_1", "wasm-bindgen"),
            ("wbg", "__wbindgen_throw", "wasm-bindgen"),
            ("gojs", "runtime.wasmExit", "Go"),
            ("env", "emscripten_memcpy_js", "emscripten"),
            ("env", "invoke_vii", "emscripten"),
            ("a", "a", "emscripten"),
            ("env", "abort", "AssemblyScript"),
        ];
        for (module, item, host) in table {
            let bytes = wat::parse_str(format!("(module (import \"{module}\" \"{item}\" (func)))"));
            let shape = bounds::check(&bytes.expect("text"), &Bounds::default()).expect("a shape");
            let error = foreign(&shape, "f").expect_err("foreign");
            assert_eq!(error.kind(), Kind::Foreign);
            assert!(error.message().contains(host), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn threads_are_refused_and_wasi_is_not() {
        let table = [
            ("(module (memory 1 1 shared))", Some(Kind::Unsupported)),
            (
                "(module (import \"env\" \"memory\" (memory 1 1 shared)))",
                Some(Kind::Unsupported),
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))))",
                None,
            ),
            ("(module (import \"env\" \"log\" (func)))", None),
        ];
        for (text, kind) in table {
            let shape =
                bounds::check(&wat::parse_str(text).expect("text"), &Bounds::default()).expect("a shape");
            assert_eq!(
                foreign(&shape, "f").err().map(|error| error.kind()),
                kind,
                "{text}"
            );
        }
    }
}
