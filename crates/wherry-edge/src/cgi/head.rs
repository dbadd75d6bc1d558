//! What a command writes before its body: fields that say what kind of answer it is. RFC 3875, 6.

use http::header::{CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

/// The most bytes in a head.
pub const MOST: usize = 64 << 10;

/// The most fields in one.
const MOST_FIELDS: usize = 256;

/// Status and fields of a head, and what follows it.
pub type Whole<'a> = (StatusCode, HeaderMap, &'a [u8]);

/// A head as it comes in, piece by piece.
#[derive(Default)]
pub struct Reader {
    line: Vec<u8>,
    size: usize,
    count: usize,
    status: Option<StatusCode>,
    fields: HeaderMap,
}

impl Reader {
    /// Reads on; gives the head when it is whole, with what follows it of these bytes.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read<'a>(&mut self, mut bytes: &'a [u8]) -> Result<Option<Whole<'a>>, String> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.take(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if line.is_empty() {
                let (status, fields) = std::mem::take(self).finish()?;
                return Ok(Some((status, fields, bytes)));
            }
            self.field(line)?;
        }
        self.take(bytes)?;
        Ok(None)
    }

    /// Whether nothing came yet.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.size += bytes.len() + 1;
        if self.size > MOST {
            return Err(format!("its head is larger than {MOST} bytes"));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), String> {
        if self.count == 0 && line.starts_with(b"HTTP/") {
            return Err("it begins with a status line, in place of a field `Status: 200`".to_owned());
        }
        self.count += 1;
        if self.count > MOST_FIELDS {
            return Err(format!("its head has more than {MOST_FIELDS} fields"));
        }
        let wrong = || {
            let start = &line[..line.len().min(60)];
            format!(
                "line {} of its head is no field: `{}`",
                self.count,
                start.escape_ascii()
            )
        };
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(wrong)?;
        let value = line[colon + 1..].trim_ascii();
        if line[..colon].eq_ignore_ascii_case(b"status") {
            let status = status(value).ok_or_else(wrong)?;
            return once(self.status.replace(status).is_none(), "Status");
        }
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| wrong())?;
        let value = HeaderValue::from_bytes(value).map_err(|_| wrong())?;
        if name == TRANSFER_ENCODING {
            return Err("its head has a `Transfer-Encoding`, which is the server's to choose".to_owned());
        }
        if DEFAULT_FORBIDDEN_HEADERS.contains(&name) {
            // RFC 3875, 6.3.4 and 9.3: what belongs to the connection is the server's.
            return Ok(());
        }
        if name == LOCATION || name == CONTENT_TYPE {
            return once(self.fields.insert(&name, value).is_none(), name.as_str());
        }
        self.fields.append(name, value);
        Ok(())
    }

    /// The status that follows, and the fields. A path of this server in `Location` goes to the client, too, which asks for it.
    fn finish(self) -> Result<(StatusCode, HeaderMap), String> {
        let Self { status, fields, .. } = self;
        let usual = match fields.get(LOCATION) {
            Some(location) if location.is_empty() => return Err("its `Location` is empty".to_owned()),
            Some(_) => StatusCode::FOUND,
            None if status.is_none() && !fields.contains_key(CONTENT_TYPE) => {
                let needed = "`Content-Type`, `Location` or `Status`";
                return Err(format!("its head has none of {needed}"));
            }
            None => StatusCode::OK,
        };
        Ok((status.unwrap_or(usual), fields))
    }
}

/// A status, with or without words behind it.
fn status(value: &[u8]) -> Option<StatusCode> {
    let (digits, words) = value.split_at_checked(3)?;
    let separate = words.is_empty() || words.starts_with(b" ");
    StatusCode::from_bytes(digits).ok().filter(|_| separate)
}

fn once(first: bool, name: &str) -> Result<(), String> {
    if first {
        Ok(())
    } else {
        Err(format!("its head has `{name}` twice"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (StatusCode, HeaderMap, Vec<u8>);

    /// What comes of bytes that arrive at once, and the same when they arrive one by one.
    fn read(bytes: &[u8]) -> Result<Read, String> {
        let owned = |found: Option<Whole<'_>>, after: &[u8]| {
            found.map(|(status, fields, rest)| (status, fields, [rest, after].concat()))
        };
        let found = Reader::default().read(bytes).map(|found| owned(found, b""));
        let mut reader = Reader::default();
        let mut slowly = Ok(None);
        for (place, byte) in bytes.chunks(1).enumerate() {
            slowly = reader.read(byte).map(|found| owned(found, &bytes[place + 1..]));
            if !matches!(slowly, Ok(None)) {
                break;
            }
        }
        assert_eq!(found, slowly);
        found.and_then(|found| found.ok_or_else(|| "not whole".to_owned()))
    }

    fn answer(bytes: &str) -> (u16, Vec<String>, String) {
        let (status, fields, rest) = read(bytes.as_bytes()).expect(bytes);
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}={}", String::from_utf8_lossy(value.as_bytes()))
        };
        let lines = fields.iter().map(line).collect();
        (
            status.as_u16(),
            lines,
            String::from_utf8_lossy(&rest).into_owned(),
        )
    }

    /// A head, with status, fields and what follows it.
    type Case = (&'static str, u16, &'static [&'static str], &'static str);

    const CASES: [Case; 12] = [
        (
            "Content-Type: text/plain\n\nbody",
            200,
            &["content-type=text/plain"],
            "body",
        ),
        (
            "Content-type:text/plain\r\n\r\n\r\nbody",
            200,
            &["content-type=text/plain"],
            "\r\nbody",
        ),
        ("Status: 404 Not Found\n\n", 404, &[], ""),
        ("status:  204  \n\n", 204, &[], ""),
        (
            "Set-Cookie: a\nSet-Cookie: b\nStatus: 299 Odd\n\n",
            299,
            &["set-cookie=a", "set-cookie=b"],
            "",
        ),
        (
            "Location: https://example.com/\n\n",
            302,
            &["location=https://example.com/"],
            "",
        ),
        ("Location: /next?a=b\n\n", 302, &["location=/next?a=b"], ""),
        ("Location: next\n\n", 302, &["location=next"], ""),
        (
            "Status: 303 See Other\nLocation: /next\n\n",
            303,
            &["location=/next"],
            "",
        ),
        (
            "Location: /next\nSet-Cookie: a\n\n",
            302,
            &["location=/next", "set-cookie=a"],
            "",
        ),
        (
            "Content-Type: a/b\nConnection: close\nKeep-Alive: 5\n\n",
            200,
            &["content-type=a/b"],
            "",
        ),
        (
            "Content-Type: a/b\nX-Empty:\n\n",
            200,
            &["content-type=a/b", "x-empty="],
            "",
        ),
    ];

    #[test]
    fn heads_are_those_of_answers() {
        for (bytes, status, fields, rest) in CASES {
            let fields = fields.iter().map(|one| (*one).to_owned()).collect();
            assert_eq!(answer(bytes), (status, fields, rest.to_owned()), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let long = format!("Content-Type: a/b\nX: {}\n\n", "x".repeat(MOST));
        let many = format!("{}\n", "X: y\n".repeat(257));
        for (bytes, why) in [
            ("", "not whole"),
            ("Content-Type: a/b\n", "not whole"),
            ("\n", "has none of"),
            ("X-Other: 1\n\n", "has none of"),
            ("Hello\n\n", "line 1 of its head is no field: `Hello`"),
            ("Content-Type: a/b\n folded\n\n", "line 2"),
            ("Content Type: a/b\n\n", "line 1"),
            ("Content-Type : a/b\n\n", "line 1"),
            (": empty\n\n", "line 1"),
            ("Content-Type: a\u{0}b\n\n", "line 1"),
            ("Content-Type: a\rb\n\n", "line 1"),
            ("Status: 20\n\n", "line 1"),
            ("Status: 2000\n\n", "line 1"),
            ("Status: OK\n\n", "line 1"),
            ("Status: 200\nStatus: 200\n\n", "`Status` twice"),
            ("Content-Type: a/b\ncontent-type: a/b\n\n", "`content-type` twice"),
            ("Location:\n\n", "is empty"),
            ("HTTP/1.1 200 OK\nContent-Type: a/b\n\n", "status line"),
            (
                "Content-Type: a/b\nTransfer-Encoding: chunked\n\n",
                "`Transfer-Encoding`",
            ),
            (&long, "larger than 65536 bytes"),
            (&many, "more than 256 fields"),
        ] {
            let said = read(bytes.as_bytes()).expect_err(bytes);
            assert!(said.contains(why), "{bytes:?}: {said}");
        }
    }
}
