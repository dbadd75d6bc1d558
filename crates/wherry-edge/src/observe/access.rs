//! The access log: one line for each request that is over.
//!
//! What clients say goes into it, so it is written in a way that no client can begin a line of its own with, nor have a
//! terminal do anything. Start at [`Line`].

use crate::observe::identity::RequestId;
use crate::observe::lines::Entry;
use crate::observe::stamp;
use http::{HeaderValue, Method, Uri, Version};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An object for each request.
    #[default]
    Json,
    /// The combined format of Apache and nginx, which most programs that read logs know.
    Combined,
}

/// A request that is over.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it came.
    pub time: SystemTime,
    /// Who it came from.
    pub client: IpAddr,
    /// Its method.
    pub method: Method,
    /// What it is for, as the client wrote it.
    pub target: Uri,
    /// The host that it is for.
    pub host: Option<HeaderValue>,
    /// Its version of HTTP.
    pub version: Version,
    /// The status of its answer; 499 when the client went before there was one.
    pub status: u16,
    /// Bytes in the body of the answer.
    pub bytes: u64,
    /// From its head to the last byte of its answer.
    pub duration: Duration,
    /// Whether all of the answer was sent.
    pub complete: bool,
    /// Who answered, and by which route.
    pub application: Option<Arc<str>>,
    /// The route that led there.
    pub route: Option<Arc<str>>,
    /// What it is called.
    pub id: RequestId,
    /// The trace that it belongs to.
    pub trace: Option<u128>,
    /// Where the client says that it comes from.
    pub referer: Option<HeaderValue>,
    /// What the client says that it is.
    pub agent: Option<HeaderValue>,
}

/// The same as an object.
#[derive(Serialize)]
struct Object<'a> {
    time: String,
    client: IpAddr,
    method: &'a str,
    target: String,
    host: Option<String>,
    version: &'static str,
    status: u16,
    bytes: u64,
    duration: f64,
    complete: bool,
    application: Option<&'a str>,
    route: Option<&'a str>,
    request_id: String,
    trace_id: Option<String>,
    referer: Option<String>,
    user_agent: Option<String>,
}

impl Entry for Line {
    type Form = Format;

    fn size(&self) -> usize {
        let field = |value: &Option<HeaderValue>| value.as_ref().map_or(0, HeaderValue::len);
        let target = self.target.path_and_query().map_or(0, |path| path.as_str().len());
        target + field(&self.host) + field(&self.referer) + field(&self.agent)
    }

    fn write(&self, form: &Format, lines: &mut Vec<u8>) {
        match form {
            Format::Json => self.write_object(lines),
            Format::Combined => self.write_combined(lines),
        }
    }
}

impl Line {
    fn write_object(&self, lines: &mut Vec<u8>) {
        write_object(
            &Object {
                time: stamp(self.time),
                client: self.client,
                method: self.method.as_str(),
                target: self.target.to_string(),
                host: text(self.host.as_ref()),
                version: version(self.version),
                status: self.status,
                bytes: self.bytes,
                duration: self.duration.as_secs_f64(),
                complete: self.complete,
                application: self.application.as_deref(),
                route: self.route.as_deref(),
                request_id: self.id.to_string(),
                trace_id: self.trace.map(|trace| format!("{trace:032x}")),
                referer: text(self.referer.as_ref()),
                user_agent: text(self.agent.as_ref()),
            },
            lines,
        );
    }

    /// `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`.
    fn write_combined(&self, lines: &mut Vec<u8>) {
        let time = jiff::Timestamp::try_from(self.time).unwrap_or_default();
        let time = time.to_zoned(jiff::tz::TimeZone::UTC);
        let _ = write!(
            lines,
            "{} - - [{}] \"",
            self.client,
            time.strftime("%d/%b/%Y:%H:%M:%S +0000")
        );
        write_quotable(self.method.as_str().as_bytes(), lines);
        lines.push(b' ');
        write_quotable(self.target.to_string().as_bytes(), lines);
        let _ = write!(lines, " {}\" {} ", version(self.version), self.status);
        match self.bytes {
            0 => lines.push(b'-'),
            bytes => drop(write!(lines, "{bytes}")),
        }
        for field in [&self.referer, &self.agent] {
            lines.extend_from_slice(b" \"");
            match field {
                Some(field) => write_quotable(field.as_bytes(), lines),
                None => lines.push(b'-'),
            }
            lines.push(b'"');
        }
        lines.push(b'\n');
    }
}

/// What stands between quotes, as Apache escapes it.
fn write_quotable(bytes: &[u8], lines: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => lines.extend_from_slice(&[b'\\', *byte]),
            0x20..0x7f => lines.push(*byte),
            other => drop(write!(lines, "\\x{other:02x}")),
        }
    }
}

/// A field as text; what is no UTF-8 in it cannot be told.
fn text(value: Option<&HeaderValue>) -> Option<String> {
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// Writes an object as one line of ASCII: whatever it holds moves no cursor and ends no line.
pub fn write_object(object: &impl Serialize, lines: &mut Vec<u8>) {
    // Nothing here has keys that are no strings, and a vector takes all.
    let _ = object.serialize(&mut Serializer::with_formatter(&mut *lines, Ascii));
    lines.push(b'\n');
}

/// JSON with all beyond ASCII escaped.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let plain = |byte: u8| (0x20..0x7f).contains(&byte);
        if fragment.bytes().all(plain) {
            return writer.write_all(fragment.as_bytes());
        }
        for letter in fragment.chars() {
            let mut units = [0; 2];
            match u8::try_from(letter) {
                Ok(byte) if plain(byte) => writer.write_all(&[byte])?,
                _ => {
                    for unit in letter.encode_utf16(&mut units) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        CompactFormatter.write_char_escape(writer, escape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn line(target: &'static str, agent: &'static [u8]) -> Line {
        Line {
            time: UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789),
            client: "203.0.113.9".parse().unwrap(),
            method: Method::GET,
            target: Uri::from_static(target),
            host: Some(HeaderValue::from_static("shop.example")),
            version: Version::HTTP_11,
            status: 200,
            bytes: 13,
            duration: Duration::from_micros(1500),
            complete: true,
            application: Some("shop".into()),
            route: Some("shop.example/*rest".into()),
            id: RequestId::Given(HeaderValue::from_static("abc-1")),
            trace: Some(0xab),
            referer: None,
            agent: Some(HeaderValue::from_bytes(agent).unwrap()),
        }
    }

    fn written(line: &Line, format: Format) -> String {
        let mut lines = Vec::new();
        line.write(&format, &mut lines);
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn an_object_has_every_field() {
        let object: serde_json::Value =
            serde_json::from_str(&written(&line("/a?b=c", b"curl/8"), Format::Json)).unwrap();
        assert_eq!(
            object,
            serde_json::json!({
                "time": "2023-11-14T22:13:20.123456Z", "client": "203.0.113.9", "method": "GET", "target": "/a?b=c",
                "host": "shop.example", "version": "HTTP/1.1", "status": 200, "bytes": 13, "duration": 0.0015,
                "complete": true, "application": "shop", "route": "shop.example/*rest", "request_id": "abc-1",
                "trace_id": "000000000000000000000000000000ab", "referer": null, "user_agent": "curl/8",
            })
        );
    }

    #[test]
    fn the_combined_format_is_that_of_others() {
        assert_eq!(
            written(&line("/a?b=c", b"curl/8"), Format::Combined),
            "203.0.113.9 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?b=c HTTP/1.1\" 200 13 \"-\" \"curl/8\"\n"
        );
    }

    #[test]
    fn nobody_writes_a_line_of_their_own() {
        let hostile = b"a\"b\\c\td\x80\x9b31m \xc2\x9b1m \xe2\x80\xa8 \xf0\x9f\x98\x80 ]}\"";
        for (format, expected) in [
            (
                Format::Combined,
                "\"a\\\"b\\\\c\\x09d\\x80\\x9b31m \\xc2\\x9b1m \\xe2\\x80\\xa8 \\xf0\\x9f\\x98\\x80 ]}\\\"\"\n",
            ),
            (
                Format::Json,
                "\"a\\\"b\\\\c\\td\\ufffd\\ufffd31m \\u009b1m \\u2028 \\ud83d\\ude00 ]}\\\"\"}\n",
            ),
        ] {
            let written = written(&line("/", hostile), format);
            assert!(written.ends_with(expected), "{written}");
            assert!(
                written
                    .trim_end()
                    .bytes()
                    .all(|byte| (0x20..0x7f).contains(&byte))
            );
        }
    }
}
