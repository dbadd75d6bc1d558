//! Answers that are compressed on their way out, where the author asked for it and the client takes it: RFC 9110, 12.5.3.
//!
//! Left as they are: what is compressed already, parts of something, small ones, and those whose author or whose digest says
//! that nobody may change them. Start at [`Negotiated::compress`].

use crate::body::Answer;
use bytes::{Bytes, BytesMut};
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Body as _, Frame};
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What is shorter gains nothing: it is in one packet either way.
const SHORTEST: u64 = 1024;

/// How hard `zstd` tries: its default.
const ZSTD_LEVEL: i32 = 3;

/// How far back `zstd` looks, as a power of two: half a mebibyte for each answer that is on its way.
const ZSTD_WINDOW: u32 = 19;

/// How hard `gzip` tries.
const GZIP_LEVEL: u32 = 5;

/// Media types that gain by it, besides all of `text/` and what ends in `+json` or `+xml`.
const TYPES: &[&str] = &[
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "application/toml",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xml",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/x-icon",
];

/// Fields that hold a digest of the content as it is sent: RFC 9530, and what came before it.
const DIGESTS: &[&str] = &[
    "content-digest",
    "repr-digest",
    "digest",
    "content-md5",
    "signature",
];

/// How an answer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// Zstandard: RFC 8878.
    Zstd,
    /// gzip: RFC 1952.
    Gzip,
}

impl Coding {
    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        })
    }
}

/// The coding that a client likes most, of those that are here.
#[must_use]
fn wanted(request: &HeaderMap) -> Option<Coding> {
    let (mut zstd, mut gzip, mut plain, mut other) = (None, None, None, None);
    for value in request.get_all(ACCEPT_ENCODING) {
        for element in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = element.split_once(';').unwrap_or((element, ""));
            let place = match name.trim().to_ascii_lowercase().as_str() {
                "zstd" => &mut zstd,
                "gzip" | "x-gzip" => &mut gzip,
                "identity" => &mut plain,
                "*" => &mut other,
                _ => continue,
            };
            *place = Some(weighed(weight));
        }
    }
    let (zstd, gzip) = (zstd.or(other).unwrap_or(0), gzip.or(other).unwrap_or(0));
    let (coding, weight) = if zstd >= gzip {
        (Coding::Zstd, zstd)
    } else {
        (Coding::Gzip, gzip)
    };
    (weight > 0 && weight >= plain.unwrap_or(0)).then_some(coding)
}

/// A weight in thousandths, RFC 9110, 12.4.2; one that is none says no.
fn weighed(weight: &str) -> u32 {
    let weight = weight.trim();
    if weight.is_empty() {
        return 1000;
    }
    let number = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="));
    let Some((whole, part)) = number.map(|number| number.split_once('.').unwrap_or((number, ""))) else {
        return 0;
    };
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    let part = format!("{part:0<3}").parse().unwrap_or(0);
    match whole {
        "1" if part == 0 => 1000,
        "0" => part,
        _ => 0,
    }
}

/// What a client takes, until there is an answer.
#[derive(Debug, Clone, Copy)]
pub struct Negotiated {
    coding: Option<Coding>,
    /// The request is HEAD.
    head: bool,
}

impl Negotiated {
    /// What the client of a request takes.
    #[must_use]
    pub fn of(request: &Parts) -> Self {
        Self {
            coding: wanted(&request.headers),
            head: request.method == Method::HEAD,
        }
    }

    /// Compresses an answer, if that may be done with it. One to HEAD says what one to GET would: RFC 9110, 9.3.2.
    #[must_use]
    pub fn compress(self, response: Response<Answer>) -> Response<Answer> {
        let unmodified = response.status() == StatusCode::NOT_MODIFIED;
        if !unmodified && !suits(response.status(), response.headers()) {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        if !varies(&parts.headers) {
            // Whether or not this client gets it so: caches are told that another may.
            parts
                .headers
                .append(VARY, HeaderValue::from_static("accept-encoding"));
        }
        let declared = parts.headers.get(CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let length = if self.head {
            declared
        } else {
            body.size_hint().exact()
        };
        let worth = !unmodified && length.is_none_or(|length| length >= SHORTEST);
        let Some(coding) = self.coding.filter(|_| worth) else {
            return Response::from_parts(parts, body);
        };
        let (body, smaller) = if self.head {
            (body, true)
        } else {
            compressed(body, coding)
        };
        if smaller {
            say(coding, &mut parts.headers);
        }
        Response::from_parts(parts, body)
    }
}

/// A body that is compressed, unless that gains nothing; whether it is.
fn compressed(body: Answer, coding: Coding) -> (Answer, bool) {
    let Ok(encoder) = Encoder::new(coding) else {
        return (body, false);
    };
    match body {
        Answer::Whole { bytes, trailers } => {
            let packed = encoder.whole(&bytes).ok();
            let smaller = packed.filter(|packed| packed.len() < bytes.len());
            let gains = smaller.is_some();
            let bytes = smaller.unwrap_or(bytes);
            (Answer::Whole { bytes, trailers }, gains)
        }
        streamed => {
            let compressed = Compressed {
                inner: streamed,
                encoder: Some(encoder),
                trailers: None,
            };
            (Answer::Compressed(Box::new(compressed)), true)
        }
    }
}

/// What the fields of an answer say once it is compressed.
fn say(coding: Coding, headers: &mut HeaderMap) {
    headers.insert(CONTENT_ENCODING, coding.name());
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    // RFC 9110, 8.8.1: the bytes are others than those that a strong one stands for.
    let strong = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    let weak = strong.map(|tag| [b"W/", tag.as_bytes()].concat());
    if let Some(weak) = weak.and_then(|weak| HeaderValue::from_bytes(&weak).ok()) {
        headers.insert(ETAG, weak);
    }
}

/// Whether an answer may be compressed, and gains by it.
fn suits(status: StatusCode, headers: &HeaderMap) -> bool {
    let whole = !matches!(
        status,
        StatusCode::NO_CONTENT
            | StatusCode::RESET_CONTENT
            | StatusCode::PARTIAL_CONTENT
            | StatusCode::NOT_MODIFIED
    );
    let untouchable = headers.contains_key(CONTENT_ENCODING)
        || headers.contains_key(CONTENT_RANGE)
        || DIGESTS.iter().any(|name| headers.contains_key(*name))
        || contains(headers, &CACHE_CONTROL, "no-transform");
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let media = media
        .and_then(|media| media.split(';').next())
        .unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    let gains = media.starts_with("text/")
        || media.ends_with("+json")
        || media.ends_with("+xml")
        || TYPES.contains(&media.as_str());
    whole && gains && !untouchable
}

fn varies(headers: &HeaderMap) -> bool {
    contains(headers, &VARY, "accept-encoding") || contains(headers, &VARY, "*")
}

/// Whether a list has an element.
fn contains(headers: &HeaderMap, name: &http::HeaderName, element: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut elements = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    elements.any(|one| one.trim().eq_ignore_ascii_case(element))
}

/// A body that is compressed as it comes: each piece can be unpacked as soon as it is there.
pub struct Compressed {
    inner: Answer,
    /// Gone when the last of it was written.
    encoder: Option<Encoder>,
    trailers: Option<HeaderMap>,
}

impl Compressed {
    /// The next piece.
    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            let Some(encoder) = &mut self.encoder else {
                return Poll::Ready(self.trailers.take().map(|fields| Ok(Frame::trailers(fields))));
            };
            let piece = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => encoder.piece(&bytes),
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        continue;
                    }
                },
                Some(Err(error)) => {
                    self.encoder = None;
                    self.trailers = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => match self.encoder.take().map(Encoder::finish) {
                    Some(last) => last,
                    None => continue,
                },
            };
            match piece {
                Ok(bytes) if bytes.is_empty() => {}
                piece => return Poll::Ready(Some(piece.map(Frame::data))),
            }
        }
    }

    /// Whether all of it was taken out.
    pub fn is_over(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }
}

/// What compresses, into memory.
enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(ZSTD_WINDOW)?;
                Self::Zstd(encoder)
            }
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
        })
    }

    fn whole(mut self, bytes: &[u8]) -> io::Result<Bytes> {
        if let Self::Zstd(encoder) = &mut self {
            encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
        }
        match &mut self {
            Self::Zstd(encoder) => encoder.write_all(bytes)?,
            Self::Gzip(encoder) => encoder.write_all(bytes)?,
        }
        self.finish()
    }

    /// A piece, to its last byte.
    fn piece(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        Ok(match self {
            Self::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
        }
        .into())
    }

    fn finish(self) -> io::Result<Bytes> {
        let bytes = match self {
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Gzip(encoder) => encoder.finish()?,
        };
        Ok(BytesMut::from(bytes.as_slice()).freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn accepting(value: &str) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().expect("a value"));
        wanted(&headers)
    }

    #[test]
    fn a_client_gets_what_it_likes_most() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip", Some(Coding::Gzip)),
            ("X-GZIP;Q=0.5", Some(Coding::Gzip)),
            ("zstd;q=0.2, gzip;q=0.25", Some(Coding::Gzip)),
            ("zstd;q=0.001", Some(Coding::Zstd)),
            ("*", Some(Coding::Zstd)),
            ("*;q=0.5, zstd;q=0", Some(Coding::Gzip)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Coding::Gzip)),
            ("gzip;q=0", None),
            ("gzip;q=2", None),
            ("gzip;q=1.000", Some(Coding::Gzip)),
            ("gzip;q=1.001", None),
            ("gzip;q=0.+5", None),
            ("gzip;q=0.5000", None),
            ("br", None),
            ("", None),
        ] {
            assert_eq!(accepting(value), expected, "{value}");
        }
        assert_eq!(wanted(&HeaderMap::new()), None);
    }

    fn negotiated(response: Response<Answer>, coding: Coding) -> Response<Answer> {
        let (coding, head) = (Some(coding), false);
        Negotiated { coding, head }.compress(response)
    }

    fn given(fields: &[(&'static str, &'static str)], size: usize) -> Response<Answer> {
        let mut response = Response::new(Answer::whole(vec![b'a'; size]));
        for (name, value) in fields {
            response
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        response
    }

    fn answered(fields: &[(&'static str, &'static str)], size: usize) -> Response<Answer> {
        negotiated(given(fields, size), Coding::Gzip)
    }

    #[test]
    fn head_is_told_what_get_is() {
        let fields = |length: &'static str| [("content-type", "text/css"), ("content-length", length)];
        for (length, said) in [("1024", true), ("1023", false)] {
            let (coding, head) = (Some(Coding::Zstd), true);
            let response = Negotiated { coding, head }.compress(given(&fields(length), 0));
            let headers = response.headers();
            assert_eq!(headers.contains_key("content-encoding"), said);
            assert_eq!(headers.contains_key("content-length"), !said);
            assert_eq!(headers["vary"], "accept-encoding");
        }
    }

    #[test]
    fn what_is_not_modified_varies_too() {
        let mut response = given(&[("etag", "\"a\"")], 0);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        let response = negotiated(response, Coding::Gzip);
        assert_eq!(response.headers()["vary"], "accept-encoding");
        assert!(!response.headers().contains_key("content-encoding"));
    }

    #[test]
    fn what_gains_is_compressed_and_said() {
        let fields = [
            ("content-type", "text/html; charset=utf-8"),
            ("etag", "\"a\""),
            ("content-length", "1024"),
        ];
        let response = answered(&fields, 1024);
        let headers = response.headers();
        assert_eq!(headers["content-encoding"], "gzip");
        assert_eq!(headers["etag"], "W/\"a\"");
        assert_eq!(headers["vary"], "accept-encoding");
        assert!(!headers.contains_key("content-length"));
        assert!(response.body().size_hint().exact().is_some_and(|size| size < 100));
    }

    #[test]
    fn what_gains_nothing_or_may_not_be_changed_is_left() {
        let html = ("content-type", "text/html");
        for fields in [
            &[][..],
            &[("content-type", "image/png")],
            &[html, ("content-encoding", "br")],
            &[html, ("content-range", "bytes 0-1023/2048")],
            &[html, ("cache-control", "public, No-Transform")],
            &[html, ("content-digest", "sha-256=:AA==:")],
        ] {
            let response = answered(fields, 4096);
            assert_eq!(response.body().size_hint().exact(), Some(4096), "{fields:?}");
            assert!(!response.headers().contains_key("vary"), "{fields:?}");
        }
        let small = answered(&[html, ("vary", "Cookie, Accept-Encoding")], 1023);
        assert_eq!(small.body().size_hint().exact(), Some(1023));
        assert_eq!(small.headers()["vary"], "Cookie, Accept-Encoding");
    }

    #[tokio::test]
    async fn what_is_compressed_is_what_it_was() {
        let text: Vec<u8> = (0..100_000_u32)
            .flat_map(|number| number.to_string().into_bytes())
            .collect();
        for coding in [Coding::Gzip, Coding::Zstd] {
            let mut response = Response::new(Answer::whole(text.clone()));
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let body = negotiated(response, coding).into_body().collect().await;
            let packed = body.expect("a body").to_bytes();
            assert!(packed.len() < text.len() / 2);
            let mut unpacked = Vec::new();
            match coding {
                Coding::Gzip => flate2::write::GzDecoder::new(&mut unpacked)
                    .write_all(&packed)
                    .expect("gzip"),
                Coding::Zstd => zstd::stream::copy_decode(&packed[..], &mut unpacked).expect("zstd"),
            }
            assert_eq!(unpacked, text);
        }
    }

    #[test]
    fn each_piece_can_be_unpacked_when_it_is_there() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let mut encoder = Encoder::new(coding).expect("an encoder");
            let mut packed = Vec::new();
            for piece in [b"hello".as_slice(), b" world"] {
                packed.extend(encoder.piece(piece).expect("a piece"));
            }
            let mut unpacked = Vec::new();
            match coding {
                Coding::Gzip => {
                    let mut decoder = flate2::write::GzDecoder::new(&mut unpacked);
                    decoder.write_all(&packed).expect("gzip");
                    decoder.flush().expect("gzip");
                    drop(decoder);
                }
                Coding::Zstd => {
                    let mut decoder = zstd::stream::write::Decoder::new(&mut unpacked).expect("a decoder");
                    decoder.write_all(&packed).expect("zstd");
                    decoder.flush().expect("zstd");
                    drop(decoder);
                }
            }
            assert_eq!(unpacked, b"hello world");
        }
    }
}
