//! What loading promises, from a file or bytes to code that runs.

use std::cell::RefCell;
use std::fs;

use wasmtime::{Instance, Store};

use super::*;
use crate::cache::Cache;
use crate::mode::{Mode, PULLEY};

const ADD: &str =
    "(module (func (export \"add\") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))";

fn bytes(text: &str) -> Source {
    Source::Bytes {
        bytes: text.as_bytes().to_vec(),
        name: "bytes".into(),
    }
}

fn kind(source: Source, options: &LoadOptions<'_>) -> Option<Kind> {
    load(source, options).err().map(|error| error.kind())
}

fn five(program: &Program) -> i32 {
    let Code::Module(module) = &program.code else {
        panic!("a component")
    };
    let mut store = Store::new(&program.engine, ());
    let instance = Instance::new(&mut store, module, &[]).expect("an instance");
    let add = instance
        .get_typed_func::<(i32, i32), i32>(&mut store, "add")
        .expect("add");
    add.call(&mut store, (2, 3)).expect("a sum")
}

/// A folder with a cache and a file that was written long enough ago to be remembered.
struct Place {
    folder: tempfile::TempDir,
    cache: Cache,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&folder.path().join("cache"), 1 << 30).expect("a cache");
        Self { folder, cache }
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, contents).expect("to write");
        path
    }

    fn options(&self) -> LoadOptions<'static> {
        LoadOptions {
            cache: Some(self.cache.clone()),
            ..LoadOptions::default()
        }
    }
}

#[test]
fn text_and_binary_load_and_run() {
    let options = LoadOptions::default();
    let program = load(bytes(ADD), &options).expect("a program");
    assert_eq!(five(&program), 5);
    let binary = program.bytes().expect("the binary");
    assert!(binary.starts_with(b"\0asm"));
    let again = Source::Bytes {
        bytes: binary.to_vec(),
        name: "again".into(),
    };
    assert_eq!(five(&load(again, &options).expect("a program")), 5);
}

#[test]
fn the_interpreter_gives_the_same_result() {
    let options = LoadOptions {
        target: Some(PULLEY.into()),
        ..LoadOptions::default()
    };
    let program = load(bytes(ADD), &options).expect("a program");
    assert!(program.engine.is_pulley());
    assert_eq!(five(&program), 5);
}

#[test]
fn a_file_is_compiled_once() {
    let place = Place::new();
    let path = place.file("add.wat", ADD);
    let first = load(Source::Path(path.clone()), &place.options()).expect("a program");
    assert_eq!(place.cache.ls().expect("entries").len(), 1);
    let second = load(Source::Path(path), &place.options()).expect("a program");
    assert_eq!((five(&first), five(&second)), (5, 5));
    assert_eq!(first.digest, second.digest);
    assert_eq!(
        first.bytes().expect("the binary"),
        second.bytes().expect("the binary")
    );
}

#[test]
fn a_file_that_was_seen_is_not_read_again() {
    let place = Place::new();
    let path = place.file("add.wat", ADD);
    let program = load(Source::Path(path.clone()), &place.options()).expect("a program");
    // What stands in the file now is not what the record says; only a reader would notice.
    fs::write(&path, "no longer WebAssembly").expect("to write");
    let identity = Identity::of(&path.metadata().expect("metadata"));
    let settled = identity.clone().aged(Duration::from_secs(3));
    place
        .cache
        .remember(&path, &settled, &program.digest, false, None)
        .expect("to remember");
    let options = place.options();
    let loading = Loading {
        options: &options,
        name: "f".into(),
        file: Some((&path, settled)),
    };
    assert_eq!(five(&loading.known().expect("no error").expect("known")), 5);
    let loading = Loading {
        options: &options,
        name: "f".into(),
        file: Some((&path, identity)),
    };
    assert!(loading.known().expect("no error").is_none());
    assert_eq!(kind(Source::Path(path), &options), Some(Kind::NotWebAssembly));
    assert_eq!(program.bytes().err().map(|error| error.kind()), Some(Kind::Io));
}

#[test]
fn each_mode_and_target_has_an_entry_of_its_own() {
    let place = Place::new();
    let path = place.file("add.wat", ADD);
    for mode in Mode::ALL {
        for target in [None, Some(PULLEY.to_owned())] {
            let options = LoadOptions {
                mode,
                target,
                ..place.options()
            };
            load(Source::Path(path.clone()), &options).expect("a program");
        }
    }
    assert_eq!(place.cache.ls().expect("entries").len(), 8);
}

#[test]
fn a_cache_that_fails_costs_a_warning_and_no_more() {
    let place = Place::new();
    let path = place.file("add.wat", ADD);
    fs::remove_dir(place.cache.path()).expect("to remove");
    let warnings = RefCell::new(Vec::new());
    let warn = |warning| warnings.borrow_mut().push(warning);
    let options = LoadOptions {
        warn: &warn,
        ..place.options()
    };
    assert_eq!(five(&load(Source::Path(path), &options).expect("a program")), 5);
    assert!(
        warnings
            .borrow()
            .iter()
            .any(|warning| warning.contains("cannot be kept")),
        "{warnings:?}"
    );
}

#[test]
fn an_entry_that_does_not_load_is_compiled_again() {
    let place = Place::new();
    let path = place.file("add.wat", ADD);
    load(Source::Path(path.clone()), &place.options()).expect("a program");
    let entry = place.cache.ls().expect("entries").remove(0);
    // The trailer is right, and the image is none.
    let image = vec![0; 5000];
    place.cache.insert(&entry.header, &image).expect("to insert");
    let warnings = RefCell::new(Vec::new());
    let warn = |warning| warnings.borrow_mut().push(warning);
    let options = LoadOptions {
        warn: &warn,
        ..place.options()
    };
    assert_eq!(
        five(&load(Source::Path(path.clone()), &options).expect("a program")),
        5
    );
    assert_eq!(warnings.borrow().len(), 1, "{warnings:?}");
    assert_eq!(five(&load(Source::Path(path), &options).expect("a program")), 5);
    assert_eq!(warnings.borrow().len(), 1, "{warnings:?}");
}

#[test]
fn bounds_hold_for_what_is_cached_too() {
    let place = Place::new();
    let path = place.file("add.wat", ADD);
    load(Source::Path(path.clone()), &place.options()).expect("a program");
    let bounds = Bounds {
        functions: 0,
        ..Bounds::default()
    };
    let options = LoadOptions {
        bounds,
        ..place.options()
    };
    assert_eq!(kind(Source::Path(path), &options), Some(Kind::TooLarge));
}

#[test]
fn compiled_code_is_loaded_on_purpose_only() {
    let place = Place::new();
    let code = precompile(bytes(ADD), &LoadOptions::default()).expect("code");
    let path = place.file("add.cwasm", &code);
    let purpose = LoadOptions {
        precompiled: true,
        ..LoadOptions::default()
    };
    for source in [
        Source::Path(path),
        Source::Bytes {
            bytes: code,
            name: "bytes".into(),
        },
    ] {
        assert_eq!(
            kind(source.clone(), &LoadOptions::default()),
            Some(Kind::Precompiled)
        );
        let program = load(source.clone(), &purpose).expect("a program");
        assert_eq!(five(&program), 5);
        assert!(program.is_precompiled());
        assert_eq!(
            program.bytes().err().map(|error| error.kind()),
            Some(Kind::Precompiled)
        );
        assert_eq!(
            precompile(source, &purpose).err().map(|error| error.kind()),
            Some(Kind::Precompiled)
        );
    }
}

#[test]
fn compiled_code_that_does_not_fit_says_why() {
    let purpose = LoadOptions {
        precompiled: true,
        ..LoadOptions::default()
    };
    let made_for = |options: LoadOptions<'_>| {
        let bytes = precompile(bytes(ADD), &options).expect("code");
        Source::Bytes {
            bytes,
            name: "f".into(),
        }
    };
    let elsewhere = if cfg!(target_arch = "aarch64") {
        "x86_64-apple-darwin"
    } else {
        "aarch64-unknown-linux-gnu"
    };
    let table = [
        (
            LoadOptions {
                mode: Mode::Metered,
                ..LoadOptions::default()
            },
            "for mode `metered`",
        ),
        (
            LoadOptions {
                target: Some(elsewhere.into()),
                ..LoadOptions::default()
            },
            "and this is",
        ),
    ];
    for (options, words) in table {
        let error = load(made_for(options), &purpose).expect_err("unfit");
        assert_eq!(error.kind(), Kind::Precompiled);
        assert!(error.message().contains(words), "{error}");
    }
    let interpreter = made_for(LoadOptions {
        target: Some(PULLEY.into()),
        ..LoadOptions::default()
    });
    let program = load(interpreter, &purpose).expect("a program");
    assert!(program.engine.is_pulley());
    assert_eq!(five(&program), 5);
}

#[test]
fn what_is_no_program_says_so() {
    let place = Place::new();
    let options = LoadOptions::default();
    let table = [
        (Source::Path(place.folder.path().to_owned()), Kind::Io),
        (
            Source::Path(place.folder.path().join("missing.wasm")),
            Kind::NotFound,
        ),
        (Source::Path(place.file("empty.wasm", "")), Kind::NotWebAssembly),
        (bytes("(module (func (result i32)))"), Kind::Invalid),
        (bytes("(module"), Kind::Invalid),
        (bytes("(module (memory 1 1 shared))"), Kind::Unsupported),
        (bytes("(module (import \"wbg\" \"f\" (func)))"), Kind::Foreign),
    ];
    for (source, expected) in table {
        let shown = format!("{source:?}");
        let error = load(source, &options).expect_err(&shown);
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.message().starts_with('`'), "names what was loaded: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_loads_and_one_without_end_is_too_large() {
    let bounds = Bounds {
        size: 1 << 20,
        ..Bounds::default()
    };
    let options = LoadOptions {
        bounds,
        ..LoadOptions::default()
    };
    assert_eq!(
        kind(Source::Path("/dev/zero".into()), &options),
        Some(Kind::TooLarge)
    );
    assert_eq!(
        kind(Source::Path("/dev/null".into()), &options),
        Some(Kind::NotWebAssembly)
    );
}

#[test]
fn a_component_with_asynchronous_functions_gets_the_machinery() {
    let table = [("(component)", false), ("(component (type (func async)))", true)];
    for (text, concurrency) in table {
        let program = load(bytes(text), &LoadOptions::default()).expect("a program");
        assert!(matches!(program.code, Code::Component(_)));
        assert_eq!(program.key.concurrency, concurrency);
    }
}

#[test]
fn a_deadline_in_the_past_ends_compiling() {
    let options = LoadOptions {
        deadline: Some(Instant::now()),
        ..LoadOptions::default()
    };
    // What is small may be done before the clock is looked at.
    assert!(matches!(kind(bytes(ADD), &options), None | Some(Kind::Time)));
}
