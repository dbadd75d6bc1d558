use super::*;
use http::Request;
use http_body_util::BodyExt as _;
use std::fs;
use tempfile::TempDir;

/// A folder with pages, forms of one of them, a file that is not kept in memory, and what is not to be seen.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, content) in [
        ("index.html", &b"<p>all</p>"[..]),
        ("a b.txt", b"0123456789"),
        ("page.js", b"let one = 1;"),
        ("page.js.br", b"[br]"),
        ("page.js.gz", b"[gzip]"),
        ("deep/index.html", b"deep"),
        ("plain/file.unknown", b""),
        (".secret", b"secret"),
        (".well-known/token", b"token"),
        ("large.bin", &large()),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, content).expect("a file");
    }
    folder
}

fn large() -> Vec<u8> {
    (0..600_000_u32).map(|at| at.to_le_bytes()[1]).collect()
}

struct Got {
    status: u16,
    fields: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn field(&self, name: &str) -> &str {
        self.fields
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }
}

/// What a request gets; `None` where it is for no file.
async fn got(files: &Files, method: &str, path: &str, fields: &[(&str, &str)]) -> Option<Got> {
    let request = request(method, path, fields);
    let answer = files.answer(&request, request.uri.path()).await?;
    Some(read(answer).await)
}

fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Parts {
    let request = Request::builder().method(method).uri(path);
    let request = fields
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(()).expect("a request").into_parts().0
}

async fn read(answer: Response<Answer>) -> Got {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("all of it").to_bytes().to_vec();
    Got {
        status: head.status.as_u16(),
        fields: head.headers,
        body,
    }
}

/// Runs a test with a folder that may change, and with one of a package.
fn with_both(test: &impl AsyncFn(&Files)) {
    let folder = folder();
    for package in [None, Some("sha256:0")] {
        let files = Files::open(folder.path(), package).expect("the folder");
        wait(test(&files));
    }
}

fn wait<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(test)
}

#[test]
fn files_are_found_by_their_paths() {
    with_both(&async |files| {
        for (path, body, kind) in [
            ("/", &b"<p>all</p>"[..], "text/html; charset=utf-8"),
            ("/index.html?x", b"<p>all</p>", "text/html; charset=utf-8"),
            ("/a%20b.txt", b"0123456789", "text/plain; charset=utf-8"),
            ("/deep/", b"deep", "text/html; charset=utf-8"),
            ("/plain/file.unknown", b"", "application/octet-stream"),
            ("/.well-known/token", b"token", "application/octet-stream"),
            ("/large.bin", &large(), "application/octet-stream"),
        ] {
            for _ in 0..2 {
                let found = got(files, "GET", path, &[]).await.expect(path);
                assert_eq!((found.status, found.body.as_slice()), (200, body), "{path}");
                assert_eq!(found.field("content-type"), kind);
                assert_eq!(found.field("content-length"), body.len().to_string());
                assert!(found.field("etag").len() > 10);
                let head = got(files, "HEAD", path, &[]).await.expect(path);
                assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
                assert_eq!(head.fields, found.fields);
            }
        }
    });
}

#[test]
fn what_is_no_file_is_left_to_others() {
    with_both(&async |files| {
        for path in [
            "/nothing",
            "/plain",
            "/plain/",
            "/.secret",
            "/%2esecret",
            "/a%20b.txt/",
            "/deep//",
            "/../x",
        ] {
            assert!(got(files, "GET", path, &[]).await.is_none(), "{path}");
        }
        assert!(got(files, "POST", "/index.html", &[]).await.is_none());
    });
}

#[test]
fn a_folder_is_asked_for_with_its_slash() {
    with_both(&async |files| {
        let moved = got(files, "GET", "/deep?x=1", &[]).await.expect("an answer");
        assert_eq!((moved.status, moved.field("location")), (308, "/deep/?x=1"));
    });
}

#[test]
fn who_has_a_file_is_told_so() {
    with_both(&async |files| {
        let whole = got(files, "GET", "/a%20b.txt", &[]).await.expect("the file");
        let (tag, date) = (whole.field("etag"), whole.field("last-modified"));
        let old = "Sat, 29 Oct 1994 19:43:31 GMT";
        let mut cases = vec![
            (vec![("if-none-match", tag)], 304),
            (vec![("if-none-match", "*")], 304),
            (vec![("if-none-match", "\"other\"")], 200),
            (vec![("if-match", tag)], 200),
            (vec![("if-match", "*")], 200),
            (vec![("if-match", "\"other\"")], 412),
            (vec![("range", "bytes=0-1"), ("if-range", tag)], 206),
            (vec![("range", "bytes=0-1"), ("if-range", "\"other\"")], 200),
            (vec![("range", "bytes=0-1"), ("if-none-match", tag)], 304),
        ];
        if date.is_empty() {
            cases.push((vec![("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")], 200));
        } else {
            cases.push((vec![("if-modified-since", date)], 304));
            cases.push((vec![("if-modified-since", old)], 200));
            cases.push((
                vec![("if-modified-since", date), ("if-none-match", "\"other\"")],
                200,
            ));
            cases.push((vec![("if-unmodified-since", old)], 412));
            cases.push((vec![("if-unmodified-since", date)], 200));
            cases.push((vec![("range", "bytes=0-1"), ("if-range", date)], 206));
            cases.push((vec![("range", "bytes=0-1"), ("if-range", old)], 200));
        }
        for (fields, status) in cases {
            let found = got(files, "GET", "/a%20b.txt", &fields).await.expect("an answer");
            assert_eq!(found.status, status, "{fields:?}");
            if status == 304 {
                assert_eq!((found.field("etag"), found.body.len()), (tag, 0));
            }
        }
    });
}

#[test]
fn parts_of_a_file_are_those_bytes() {
    with_both(&async |files| {
        let large = large();
        for (range, said, bytes) in [
            ("bytes=0-0", "bytes 0-0/600000", &large[..1]),
            (
                "bytes=1000-400000",
                "bytes 1000-400000/600000",
                &large[1000..=400_000],
            ),
            ("bytes=-5", "bytes 599995-599999/600000", &large[599_995..]),
        ] {
            let found = got(files, "GET", "/large.bin", &[("range", range)])
                .await
                .expect("a part");
            assert_eq!((found.status, found.field("content-range")), (206, said));
            assert!(found.body == bytes, "{range}");
            assert_eq!(found.field("content-length"), bytes.len().to_string());
        }
        let none = got(files, "GET", "/large.bin", &[("range", "bytes=600000-")])
            .await
            .expect("an answer");
        assert_eq!(
            (none.status, none.field("content-range")),
            (416, "bytes */600000")
        );
        let head = got(files, "HEAD", "/large.bin", &[("range", "bytes=0-0")])
            .await
            .expect("an answer");
        assert_eq!((head.status, head.field("content-length")), (200, "600000"));
    });
}

#[test]
fn several_parts_are_one_body_of_parts() {
    with_both(&async |files| {
        for (path, size, middle) in [("/a%20b.txt", 10, "01"), ("/large.bin", 600_000, "\0\0")] {
            let found = got(files, "GET", path, &[("range", "bytes=0-1,5-5")])
                .await
                .expect("parts");
            assert_eq!(found.status, 206);
            let kind = found.field("content-type");
            let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect(kind);
            let body = String::from_utf8(found.body.clone()).expect("text");
            let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
            assert_eq!((parts.len(), parts[0], parts[3]), (4, "", "--\r\n"));
            assert!(
                parts[1].contains(&format!("content-range: bytes 0-1/{size}\r\n")),
                "{body}"
            );
            assert!(parts[1].ends_with(&format!("\r\n\r\n{middle}\r\n")), "{body}");
            assert_eq!(found.field("content-length"), found.body.len().to_string());
        }
    });
}

#[test]
fn the_form_that_a_client_takes_is_sent() {
    with_both(&async |files| {
        for (accepted, body, coding) in [
            ("gzip, br", &b"[br]"[..], "br"),
            ("gzip", b"[gzip]", "gzip"),
            ("zstd", b"let one = 1;", ""),
        ] {
            let found = got(files, "GET", "/page.js", &[("accept-encoding", accepted)])
                .await
                .expect("a form");
            assert_eq!(
                (found.body.as_slice(), found.field("content-encoding")),
                (body, coding)
            );
            assert_eq!(found.field("content-type"), "text/javascript; charset=utf-8");
            assert_eq!(found.field("vary"), "accept-encoding");
        }
        let itself = got(files, "GET", "/page.js.gz", &[("accept-encoding", "gzip")])
            .await
            .expect("a file");
        assert_eq!((itself.field("content-encoding"), itself.field("vary")), ("", ""));
    });
}

#[test]
fn a_file_that_changes_is_sent_as_it_is() {
    let folder = folder();
    let files = Files::open(folder.path(), None).expect("the folder");
    wait(async {
        for content in ["one", "two", "three"] {
            fs::write(folder.path().join("changing.txt"), content).expect("a file");
            for _ in 0..2 {
                let found = got(&files, "GET", "/changing.txt", &[]).await.expect("the file");
                assert_eq!(found.body, content.as_bytes());
            }
        }
        fs::write(folder.path().join("changing.txt.gz"), "form").expect("a form");
        let found = got(&files, "GET", "/changing.txt", &[("accept-encoding", "gzip")]).await;
        assert_eq!(found.expect("the form").body, b"form");
        fs::remove_file(folder.path().join("changing.txt")).expect("taken away");
        assert!(got(&files, "GET", "/changing.txt", &[]).await.is_none());
    });
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere_else() {
    use std::os::unix::fs::symlink;
    let (folder, outside) = (folder(), tempfile::tempdir().expect("a folder"));
    let secret = outside.path().join("secret.txt");
    fs::write(&secret, "secret").expect("a file");
    let place = |name: &str| folder.path().join(name);
    symlink(&secret, place("file.txt")).expect("a link");
    symlink(outside.path(), place("folder")).expect("a link");
    symlink("../..", place("deep/up")).expect("a link");
    symlink("a b.txt", place("inside.txt")).expect("a link");
    rustix::fs::mkfifoat(rustix::fs::CWD, place("pipe"), rustix::fs::Mode::RUSR).expect("a pipe");
    let files = Files::open(folder.path(), None).expect("the folder");
    wait(async {
        for path in ["/file.txt", "/folder/secret.txt", "/deep/up/etc/passwd", "/pipe"] {
            assert!(got(&files, "GET", path, &[]).await.is_none(), "{path}");
        }
        let inside = got(&files, "GET", "/inside.txt", &[]).await.expect("the file");
        assert_eq!(inside.body, b"0123456789");
    });
}

#[test]
fn where_there_is_no_file_that_is_said() {
    let folder = folder();
    let files = Files::open(folder.path(), None).expect("the folder");
    wait(async {
        for (method, status) in [("GET", 404), ("OPTIONS", 204), ("POST", 405), ("DELETE", 405)] {
            let answer = read(files.otherwise(&request(method, "/nothing", &[])).await).await;
            assert_eq!(answer.status, status, "{method}");
            let allowed = if status == 404 { "" } else { "GET, HEAD, OPTIONS" };
            assert_eq!(answer.field("allow"), allowed);
        }
        fs::write(folder.path().join("404.html"), "<p>gone</p>").expect("a page");
        let answer = read(files.otherwise(&request("GET", "/nothing", &[])).await).await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (404, &b"<p>gone</p>"[..])
        );
        assert_eq!(answer.field("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.field("etag"), "");
    });
}
