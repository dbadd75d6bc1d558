use super::*;

const MOST: usize = 1 << 20;

fn entry(key: &str, value: &[u8]) -> (String, Vec<u8>) {
    (key.to_owned(), value.to_owned())
}

fn both(check: impl Fn(Database)) {
    let folder = tempfile::tempdir().unwrap();
    check(Database::in_memory(MOST).unwrap());
    check(Database::in_file(&folder.path().join("kv"), MOST).unwrap());
}

#[test]
fn what_is_set_is_there_until_it_is_deleted() {
    both(|mut database| {
        assert_eq!(database.get("a", "k").unwrap(), None);
        database
            .set_many("a", &[entry("k", b"1"), entry("k", b"\0\xff"), entry("", b"")])
            .unwrap();
        assert_eq!(database.get("a", "k").unwrap().as_deref(), Some(&b"\0\xff"[..]));
        assert_eq!(database.get("a", "").unwrap().as_deref(), Some(&b""[..]));
        assert_eq!(database.get("b", "k").unwrap(), None);
        assert!(database.exists("a", "k").unwrap());
        database
            .delete_many("a", &["k".to_owned(), "never".to_owned()])
            .unwrap();
        assert!(!database.exists("a", "k").unwrap());
    });
}

#[test]
fn keys_come_in_pages_that_hold_while_others_change() {
    both(|mut database| {
        let keys: Vec<_> = (0..2 * PAGE + 5).map(|number| format!("k{number:05}")).collect();
        let entries: Vec<_> = keys.iter().map(|key| entry(key, b"v")).collect();
        database.set_many("a", &entries).unwrap();
        database.set_many("b", &[entry("other", b"v")]).unwrap();
        let (mut found, mut cursor) = database.keys("a", None).unwrap();
        assert_eq!(found.len(), PAGE);
        database.delete_many("a", &keys[..10]).unwrap();
        while cursor.is_some() {
            let (more, next) = database.keys("a", cursor).unwrap();
            found.extend(more);
            cursor = next;
        }
        assert_eq!(found, keys);
        assert_eq!(database.keys("a", Some(u64::MAX)).unwrap(), (Vec::new(), None));
    });
}

#[test]
fn a_number_is_counted_up_to_what_it_holds() {
    both(|mut database| {
        assert_eq!(database.increment("a", "n", 2).unwrap(), 2);
        assert_eq!(database.increment("a", "n", u64::MAX - 2).unwrap(), u64::MAX);
        assert_eq!(database.increment("a", "n", 1), Err(Failure::Overflow));
        assert_eq!(database.increment("a", "n", 0).unwrap(), u64::MAX);
        database.set_many("a", &[entry("word", b"seven")]).unwrap();
        assert_eq!(database.increment("a", "word", 1), Err(Failure::NotANumber));
    });
}

#[test]
fn an_answer_is_no_larger_than_a_guest_can_take() {
    both(|mut database| {
        let value = vec![7; MOST / 4];
        database.set_many("a", &[entry("k", &value)]).unwrap();
        let keys = |count| vec!["k".to_owned(); count];
        assert_eq!(database.get_many("a", keys(3)).unwrap().len(), 3);
        assert_eq!(database.get_many("a", keys(4)), Err(Failure::TooLarge));
        let large = [entry("large", &vec![7; MOST + 1])];
        assert_eq!(database.set_many("a", &large), Err(Failure::TooLarge));
    });
}

#[test]
fn what_has_no_room_is_not_half_written() {
    let mut database = Database::in_memory(MOST).unwrap();
    let entries: Vec<_> = (0..100)
        .map(|number| entry(&number.to_string(), &[7; 1000]))
        .collect();
    database.bound(50_000).unwrap();
    assert_eq!(database.set_many("a", &entries), Err(Failure::Full));
    assert_eq!(database.keys("a", None).unwrap().0, Vec::<String>::new());
    database.bound(200_000).unwrap();
    assert_eq!(database.set_many("a", &entries), Ok(()));
}

#[test]
fn a_file_is_kept_and_shared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv");
    let counting = |_| {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut database = Database::in_file(&path, MOST).unwrap();
            for _ in 0..25 {
                database.increment("a", "n", 1).unwrap();
            }
        })
    };
    let threads: Vec<_> = (0..4).map(counting).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let database = Database::in_file(&path, MOST).unwrap();
    assert_eq!(database.get("a", "n").unwrap().as_deref(), Some(&b"100"[..]));
}

#[test]
fn the_file_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (theirs, text) = (folder.path().join("theirs"), folder.path().join("text"));
    Connection::open(&theirs)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    std::fs::write(
        &text,
        "no database, but long enough to be taken for one at first sight".repeat(40),
    )
    .unwrap();
    for (path, why) in [
        (&theirs, "it is the database of another program"),
        (&text, "it is no database"),
    ] {
        let before = std::fs::read(path).unwrap();
        let error = Database::in_file(path, MOST).err().unwrap();
        assert_eq!(error.kind(), Kind::Grant);
        assert!(error.message().ends_with(why), "{error:?}");
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
}
