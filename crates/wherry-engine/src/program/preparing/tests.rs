//! Prepared components are kept as others are, run as they would unprepared, and are never run without their images.

use super::*;
use crate::cache::{Cache, Identity};
use crate::mode::Pool;
use crate::program::{LoadOptions, Source, load};
use std::cell::Cell;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::Store;
use wasmtime::component::Linker;

/// A component that gives back a number from its data, and writes another one there. Without `data` it is the prepared form.
fn component(data: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m
                (memory 2)
                {data}
                (func (export "next") (result i32)
                    (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (i32.const 1)))
                    (i32.load (i32.const 100))))
            (core instance $i (instantiate $m))
            (func (export "next") (result u32) (canon lift (core func $i "next"))))"#
    );
    wat::parse_str(text).expect("a component")
}

fn whole() -> Vec<u8> {
    component(r#"(data (i32.const 100) "\29\00\00\00")"#)
}

fn form() -> PreparedForm {
    let mut bytes = vec![0; 4096];
    bytes[100] = 41;
    PreparedForm {
        component: component(""),
        images: vec![Image {
            memory: 0,
            pages: 2,
            bytes,
        }],
    }
}

/// What one fresh guest gives, and what it gives when it is asked again.
fn numbers(program: &Program) -> (u32, u32) {
    let guest = async {
        let Code::Component(component) = &program.code else {
            panic!("a module")
        };
        let mut store = Store::new(&program.engine, ());
        let linker = Linker::new(&program.engine);
        let instance = linker.instantiate_async(&mut store, component).await?;
        let next = instance.get_typed_func::<(), (u32,)>(&mut store, "next")?;
        let first = next.call_async(&mut store, ()).await?.0;
        Ok((first, next.call_async(&mut store, ()).await?.0))
    };
    let polled = |polled| match polled {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits for nothing"),
    };
    let mut context = Context::from_waker(Waker::noop());
    let result: wasmtime::Result<_> = match program.images() {
        Some(images) => polled(pin!(images.drive(guest)).poll(&mut context)),
        None => polled(pin!(guest).poll(&mut context)),
    };
    result.expect("numbers")
}

/// A folder with a cache and a component.
struct Place {
    folder: tempfile::TempDir,
    cache: Cache,
    path: PathBuf,
    asked: Cell<u32>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&folder.path().join("cache"), 1 << 30).expect("a cache");
        let path = folder.path().join("app.wasm");
        std::fs::write(&path, whole()).expect("to write");
        Self {
            folder,
            cache,
            path,
            asked: Cell::new(0),
        }
    }

    /// Loads it with something that prepares, in that version.
    fn load(&self, version: u32, form: &dyn Fn() -> Result<PreparedForm, String>) -> Program {
        let prepare = |bytes: &[u8]| {
            assert_eq!(bytes, whole(), "what is prepared is what was given");
            self.asked.set(self.asked.get() + 1);
            form()
        };
        let preparing = Preparing {
            version,
            prepare: &prepare,
        };
        let options = self.options(Some(preparing));
        load(Source::Path(self.path.clone()), &options).expect("a program")
    }

    fn options<'a>(&self, preparing: Option<Preparing<'a>>) -> LoadOptions<'a> {
        LoadOptions {
            cache: Some(self.cache.clone()),
            pooled: Some(Pool::Requests),
            preparing,
            ..LoadOptions::default()
        }
    }

    fn prepared(&self, version: u32) -> Program {
        self.load(version, &|| Ok(form()))
    }
}

#[test]
fn a_prepared_component_gives_what_it_would_unprepared() {
    let place = Place::new();
    let plain = load(Source::Path(place.path.clone()), &LoadOptions::default()).expect("a program");
    assert_eq!((numbers(&plain), plain.plain()), ((42, 43), None));
    let prepared = place.prepared(1);
    assert!(prepared.images().is_some() && prepared.plain().is_none());
    for _ in 0..10 {
        assert_eq!(numbers(&prepared), (42, 43));
    }
    assert_eq!(prepared.digest, plain.digest, "the package is the same");
    assert_eq!(prepared.bytes().expect("the source")[..], whole());
    assert_eq!(prepared.images().map(|images| images.counts().made), Some(1));
}

#[test]
fn what_was_prepared_is_kept_with_its_images() {
    let place = Place::new();
    place.prepared(1);
    assert_eq!(numbers(&place.prepared(1)), (42, 43));
    assert_eq!(place.asked.get(), 1);
    let entries = place.cache.ls().expect("entries");
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    let kept = entry.header.prepared.as_ref().expect("images");
    assert_eq!((kept.version, kept.images[0].length), (1, 4096));
    assert!(
        place
            .cache
            .verify()
            .expect("verdicts")
            .iter()
            .all(|verdict| verdict.problem.is_none())
    );
    assert_eq!(numbers(&place.prepared(2)), (42, 43));
    assert_eq!(place.asked.get(), 2, "another version prepares anew");
}

#[test]
fn what_is_damaged_is_made_again() {
    let place = Place::new();
    place.prepared(1);
    let entry = place.cache.ls().expect("entries").remove(0);
    let path = place.cache.path().join(&entry.file);
    let whole = std::fs::read(&path).expect("an entry");
    // An image that lies behind the end of the file.
    let text = String::from_utf8_lossy(&whole);
    let from = text
        .rfind(r#""length":4096"#)
        .map(|_| whole.windows(13).rposition(|part| part == br#""length":4096"#));
    let at = from.flatten().expect("the length of its image");
    let mut changed = whole.clone();
    changed[at + 9..at + 13].copy_from_slice(b"9999");
    std::fs::write(&path, &changed).expect("to write");
    assert!(changed != whole && numbers(&place.prepared(1)) == (42, 43));
    // A byte of the image, which only its digest tells.
    let mut changed = std::fs::read(&path).expect("an entry");
    let offset = place.cache.ls().expect("entries")[0]
        .header
        .prepared
        .as_ref()
        .expect("images")
        .images[0]
        .offset;
    changed[usize::try_from(offset).expect("an offset") + 100] = 7;
    std::fs::write(&path, &changed).expect("to write");
    assert!(
        place
            .cache
            .verify()
            .expect("verdicts")
            .iter()
            .any(|verdict| verdict.problem.is_some())
    );
    assert_eq!(numbers(&place.prepared(1)), (42, 43));
    assert!(place.folder.path().exists());
}

#[test]
fn what_cannot_be_prepared_is_loaded_as_it_is_and_says_why() {
    let place = Place::new();
    for _ in 0..2 {
        let program = place.load(1, &|| Err("it has seven heads".to_owned()));
        assert_eq!(program.plain(), Some("it has seven heads"));
        assert!(program.images().is_none() && program.key.pooled.is_some());
        assert_eq!(numbers(&program), (42, 43));
    }
    assert!(
        place.prepared(2).images().is_some(),
        "another version knows better"
    );
}

#[test]
fn why_a_file_is_not_prepared_is_remembered() {
    let place = Place::new();
    let digest = load(Source::Path(place.path.clone()), &place.options(None))
        .expect("a program")
        .digest;
    let found = place.path.metadata().expect("metadata");
    let settled = Identity::of(&found).aged(std::time::Duration::from_secs(3));
    let why = Some((1, "it has seven heads".to_owned()));
    place
        .cache
        .remember(&place.path, &settled, &digest, false, why)
        .expect("to remember");
    let known = |version| {
        let preparing = Preparing {
            version,
            prepare: &|_| panic!("it was asked before"),
        };
        let options = place.options(Some(preparing));
        let loading = Loading {
            options: &options,
            name: "app".to_owned(),
            file: Some((&place.path, settled.clone())),
        };
        loading.known().expect("no error")
    };
    assert_eq!(known(1).expect("known").plain(), Some("it has seven heads"));
    assert!(known(2).is_none(), "it is read, and tried again");
}

#[test]
fn a_form_that_is_wrong_is_not_used() {
    let wrong: [fn(&mut PreparedForm); 4] = [
        |form| form.component = b"\0asm".to_vec(),
        |form| form.images[0].memory = 1,
        |form| form.images[0].pages = 0,
        |form| form.images.push(form.images[0].clone()),
    ];
    for spoil in wrong {
        let place = Place::new();
        let program = place.load(1, &|| {
            let mut form = form();
            spoil(&mut form);
            Ok(form)
        });
        assert!(program.plain().is_some() && numbers(&program) == (42, 43));
    }
}

#[test]
fn a_core_module_and_compiled_code_stay_as_they_are() {
    let options = LoadOptions {
        preparing: Some(Preparing {
            version: 1,
            prepare: &|_| panic!("there is nothing to prepare"),
        }),
        ..LoadOptions::default()
    };
    let source = Source::Bytes {
        bytes: b"(module (memory 1) (data (i32.const 0) \"a\"))".to_vec(),
        name: "module".to_owned(),
    };
    assert_eq!(
        load(source, &options).expect("a program").plain(),
        Some("it is a core module")
    );
}
