//! What a cache must withstand: other users, damage, killed processes, a full or read-only disk.

use std::cell::RefCell;
use std::fs;
use std::io::Write;

use super::*;
use crate::bounds::Bounds;
use crate::compiled::Made;
use crate::mode::EngineKey;
use crate::recognise::Form;

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Does something bad to a file.
type Damage = fn(&Path);

fn header(digest: &str, image: &[u8]) -> Header {
    let measured = Bounds {
        functions: 0,
        body: 0,
        nesting: 1,
        size: 8,
    };
    let key = EngineKey::default();
    Header::new(
        &Made {
            form: Form::Module,
            key: &key,
            source: digest,
            name: "f",
            measured,
            outgrows: false,
            prepared: None,
        },
        image,
    )
    .expect("a header")
}

/// A cache of `cap` bytes in a new folder.
fn cache(cap: u64) -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::open(&folder.path().join("a/b"), cap).expect("a cache");
    (folder, cache)
}

fn found(cache: &Cache, header: &Header) -> (bool, Vec<String>) {
    let warnings = RefCell::new(Vec::new());
    let warn = |warning| warnings.borrow_mut().push(warning);
    let found = cache.lookup(&header.source, &header.fingerprint, &warn).is_some();
    (found, warnings.into_inner())
}

fn file_of(cache: &Cache, header: &Header) -> PathBuf {
    cache.path().join(entry_name(&header.source, &header.fingerprint))
}

#[test]
fn what_was_inserted_is_found_and_listed() {
    let (_folder, cache) = cache(1 << 20);
    let header = header(DIGEST, b"image");
    assert_eq!(found(&cache, &header), (false, vec![]));
    cache.insert(&header, b"image").expect("to insert");
    assert_eq!(found(&cache, &header), (true, vec![]));
    let entries = cache.ls().expect("entries");
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].header, header);
    assert!(cache.path().join("CACHEDIR.TAG").exists());
    assert_eq!(cache.clear().expect("to clear").files, 1);
    assert_eq!(cache.ls().expect("entries"), vec![]);
}

#[test]
fn a_damaged_entry_is_a_miss_with_a_warning_and_goes() {
    let whole = header(DIGEST, b"image");
    let damage: [(&str, Damage); 4] = [
        ("trailer is missing", |path| {
            fs::write(path, b"hello").expect("to write");
        }),
        ("trailer is missing", |path| {
            fs::write(path, b"").expect("to write");
        }),
        ("lengths", |path| {
            let bytes = fs::read(path).expect("to read");
            fs::write(path, &bytes[1..]).expect("to write");
        }),
        ("not what its name says", |path| {
            let other = header(&"f".repeat(64), b"image");
            compiled::write(&mut File::create(path).expect("a file"), &other, b"image").expect("to write");
        }),
    ];
    for (words, damage) in damage {
        let (_folder, cache) = cache(1 << 20);
        cache.insert(&whole, b"image").expect("to insert");
        damage(&file_of(&cache, &whole));
        let (hit, warnings) = found(&cache, &whole);
        assert!(
            !hit && warnings.len() == 1 && warnings[0].contains(words),
            "{warnings:?}"
        );
        assert!(!file_of(&cache, &whole).exists());
    }
}

#[cfg(unix)]
#[test]
fn an_entry_that_others_may_write_or_that_is_a_link_is_a_miss() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let header = header(DIGEST, b"image");
    for mode in [0o620, 0o602, 0o666] {
        let (_folder, cache) = cache(1 << 20);
        cache.insert(&header, b"image").expect("to insert");
        fs::set_permissions(file_of(&cache, &header), fs::Permissions::from_mode(mode)).expect("to change");
        let (hit, warnings) = found(&cache, &header);
        assert!(
            !hit && warnings[0].contains("other users may write"),
            "{mode:o} {warnings:?}"
        );
    }
    let (folder, cache) = cache(1 << 20);
    cache.insert(&header, b"image").expect("to insert");
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(file_of(&cache, &header), &elsewhere).expect("to move");
    symlink(&elsewhere, file_of(&cache, &header)).expect("to link");
    let (hit, warnings) = found(&cache, &header);
    assert!(!hit && warnings[0].contains("not a regular file"), "{warnings:?}");
    assert!(elsewhere.exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (_folder, cache) = cache(1 << 20);
    assert_eq!(cache.path().metadata().expect("metadata").mode() & 0o777, 0o700);
    for mode in [0o770, 0o777, 0o1777, 0o720] {
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(mode)).expect("to change");
        let error = Cache::open(cache.path(), 1).expect_err("unsafe");
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.message().contains("other users may write"), "{error}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("to write");
    for path in [file.join("below"), file] {
        assert_eq!(
            Cache::open(&path, 1).err().map(|error| error.kind()),
            Some(Kind::Io)
        );
    }
}

#[test]
fn what_was_not_used_for_longest_is_evicted_first() {
    let image = vec![0; 1000];
    let (_folder, cache) = cache(5000);
    let headers: Vec<_> = (0..4)
        .map(|at| header(&at.to_string().repeat(64), &image))
        .collect();
    for (age, header) in headers.iter().take(3).enumerate() {
        cache.insert(header, &image).expect("to insert");
        let file = File::options()
            .write(true)
            .open(file_of(&cache, header))
            .expect("the file");
        let used = SystemTime::now() - Duration::from_secs(10_000 - 1000 * age as u64);
        file.set_times(FileTimes::new().set_modified(used))
            .expect("to set");
    }
    assert!(
        found(&cache, &headers[0]).0,
        "used again, so the second is the oldest now"
    );
    cache.insert(&headers[3], &image).expect("to insert");
    let kept: Vec<_> = headers.iter().map(|header| found(&cache, header).0).collect();
    let sum: u64 = cache.ls().expect("entries").iter().map(|entry| entry.size).sum();
    assert!(sum <= 5000, "{sum}");
    assert!(kept[0] && !kept[1] && kept[3], "{kept:?}");
}

#[test]
fn what_is_larger_than_the_cap_stays_alone() {
    let (_folder, cache) = cache(10);
    let header = header(DIGEST, b"image");
    cache.insert(&header, b"image").expect("to insert");
    assert!(found(&cache, &header).0);
}

#[test]
fn verify_finds_and_removes_changed_contents() {
    let (_folder, cache) = cache(1 << 20);
    let (good, bad) = (header(DIGEST, b"image"), header(&"e".repeat(64), b"image"));
    cache.insert(&good, b"image").expect("to insert");
    cache.insert(&bad, b"imagf").expect("to insert");
    assert!(found(&cache, &bad).0, "contents are not hashed at each start");
    let verdicts = cache.verify().expect("verdicts");
    let problems: Vec<_> = verdicts
        .iter()
        .map(|verdict| verdict.problem.as_deref())
        .collect();
    assert_eq!(problems, [None, Some("its contents were changed")]);
    assert!(!found(&cache, &bad).0 && found(&cache, &good).0);
}

#[test]
fn prune_removes_what_a_killed_process_left_and_not_what_is_being_written() {
    let (_folder, cache) = cache(1 << 20);
    let (living, _locked) = cache.temporary().expect("a file");
    fs::write(cache.path().join("tmp-1-1-1"), "half").expect("to write");
    let old = Header {
        wherry: "0.0.0".into(),
        ..header(DIGEST, b"image")
    };
    cache.insert(&old, b"image").expect("to insert");
    fs::write(cache.path().join("mine.txt"), "not ours").expect("to write");
    assert_eq!(cache.prune().expect("to prune").files, 2);
    let mut left = cache.folder.names().expect("names");
    left.sort();
    assert_eq!(left, ["CACHEDIR.TAG".to_owned(), "mine.txt".into(), living]);
}

#[test]
fn a_failed_write_leaves_nothing() {
    let (_folder, cache) = cache(1 << 20);
    let full = cache.write("x.cwasm", |file| {
        file.write_all(b"half")?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    });
    assert_eq!(
        full.map_err(|error| error.kind()),
        Err(io::ErrorKind::StorageFull)
    );
    assert!(cache.folder.names().expect("names").is_empty());
}

#[test]
fn a_path_leads_to_a_digest_while_the_file_is_the_same() {
    let (folder, cache) = cache(1 << 20);
    let path = folder.path().join("f.wasm");
    fs::write(&path, "one").expect("to write");
    let identity = Identity::of(&path.metadata().expect("metadata"));
    cache
        .remember(&path, &identity, DIGEST, true, None)
        .expect("to remember");
    assert!(
        cache.recall(&path, &identity).is_none(),
        "younger than two seconds"
    );

    let settled = identity.aged(Duration::from_secs(3));
    cache
        .remember(&path, &settled, DIGEST, true, None)
        .expect("to remember");
    let known = cache.recall(&path, &settled).expect("known");
    assert_eq!((known.digest.as_str(), known.concurrency), (DIGEST, true));
    assert!(cache.recall(&path, &identity).is_none());
    assert!(cache.recall(&folder.path().join("g.wasm"), &settled).is_none());
}

#[test]
fn processes_that_write_at_once_both_succeed() {
    let (_folder, cache) = cache(1 << 20);
    let image = vec![7; 100_000];
    let header = header(DIGEST, &image);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let own = Cache::open(cache.path(), 1 << 20).expect("a cache");
                for _ in 0..20 {
                    own.insert(&header, &image).expect("to insert");
                    assert_eq!(found(&own, &header), (true, vec![]));
                }
            });
        }
    });
    assert_eq!(cache.folder.names().expect("names").len(), 2);
}

#[test]
fn the_environment_names_the_folder() {
    type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
    let table: [Row<'_>; 4] = [
        (&[("WHERRY_CACHE_DIR", "/x"), ("HOME", "/h")], Some("/x")),
        (
            &[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")],
            Some("/c/wherry/code"),
        ),
        (
            &[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")],
            Some("/h/.cache/wherry/code"),
        ),
        (&[("WHERRY_CACHE_DIR", "")], None),
    ];
    if cfg!(target_os = "linux") {
        for (variables, folder) in table {
            let variable = |name: &str| {
                variables
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).into())
            };
            assert_eq!(Cache::default_folder(&variable), folder.map(PathBuf::from));
        }
    }
}
