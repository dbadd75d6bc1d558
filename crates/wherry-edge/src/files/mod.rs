//! Files of a folder as answers to requests, without a guest.
//!
//! [`Files::answer`] says what a request for a file gets, and that it is for none: then the application is asked, if there is
//! one, and else [`Files::otherwise`]. Paths are made plain in `path`, files found in `shelf`; what a client has already, or
//! wants a part of, is decided in `conditions` and `ranges`, and which form it gets in `coding`.

mod coding;
mod conditions;
mod path;
mod ranges;
mod sending;
mod shelf;
#[cfg(test)]
mod tests;

use crate::body::Answer;
use bytes::Bytes;
use coding::Accepted;
use conditions::{Verdict, judge};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use ranges::Asked;
use sending::Part;
pub(crate) use sending::Sending;
use shelf::{Document, Found, INDEX, Place, Shelf, index};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What is answered where there is no file, if it is there.
const MISSING: &str = "404.html";

/// What files can be asked.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// How often a file is looked at again that changes while it is looked at.
const ATTEMPTS: usize = 3;

/// The files of a folder.
pub struct Files {
    shelf: Arc<Shelf>,
}

impl Files {
    /// Those of a folder; with the digest of a package, of a folder of that, which never changes.
    ///
    /// # Errors
    /// What the system says of a folder that cannot be opened.
    pub fn open(folder: &Path, package: Option<&str>) -> io::Result<Self> {
        let shelf = Arc::new(Shelf::open(folder, package)?);
        Ok(Self { shelf })
    }

    /// The answer to a request for a file at `path`, which is the request's own or the end of it; `None` where it is for none.
    pub async fn answer(&self, request: &Parts, path: &str) -> Option<Response<Answer>> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return None;
        }
        if path.is_empty() {
            // The folder itself, without the slash that its index needs.
            let there = matches!(self.shelf.find(INDEX).await, Place::File(_));
            return there.then(|| moved(request));
        }
        let wanted = path::wanted(path)?;
        let at = if wanted.folder {
            index(&wanted.path)
        } else {
            wanted.path
        };
        for _ in 0..ATTEMPTS {
            return match self.shelf.find(&at).await {
                Place::File(found) => match self.send(request, &found).await {
                    Ok(answer) => Some(answer),
                    // It was changed or taken away since it was found.
                    Err(_) => continue,
                },
                Place::Folder => Some(moved(request)),
                Place::Nothing => None,
            };
        }
        None
    }

    /// The answer to a request that is for no file, where nothing else could answer it.
    pub async fn otherwise(&self, request: &Parts) -> Response<Answer> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            let known = request.method == Method::OPTIONS;
            let status = if known {
                StatusCode::NO_CONTENT
            } else {
                StatusCode::METHOD_NOT_ALLOWED
            };
            let mut answer = if known { status_only(status) } else { plain(status) };
            answer.headers_mut().insert(ALLOW, METHODS);
            return answer;
        }
        if let Place::File(found) = self.shelf.find(MISSING).await {
            let document = &found.plain;
            let all = vec![Part::File(0..document.size)];
            if let Ok((body, length)) = self.content(document, &request.method, all).await {
                let mut fields = HeaderMap::new();
                copy(&document.fields, &mut fields, &[CONTENT_TYPE]);
                fields.insert(CONTENT_LENGTH, length.into());
                return with_fields(body, StatusCode::NOT_FOUND, fields);
            }
        }
        plain(StatusCode::NOT_FOUND)
    }

    /// The form of a file that the client wants, as far as it wants it.
    async fn send(&self, request: &Parts, found: &Arc<Found>) -> io::Result<Response<Answer>> {
        let chosen = if found.varies() {
            Accepted::of(&request.headers).choose(|coding| found.coded(coding).is_some())
        } else {
            None
        };
        let document = chosen
            .and_then(|coding| found.coded(coding))
            .unwrap_or(&found.plain);
        match judge(&request.method, &request.headers, document) {
            Verdict::Failed => Ok(plain(StatusCode::PRECONDITION_FAILED)),
            Verdict::NotModified => {
                let mut answer = status_only(StatusCode::NOT_MODIFIED);
                copy(
                    &document.fields,
                    answer.headers_mut(),
                    &[ETAG, LAST_MODIFIED, VARY],
                );
                Ok(answer)
            }
            Verdict::Send(Asked::Nothing) => {
                let mut answer = plain(StatusCode::RANGE_NOT_SATISFIABLE);
                set(
                    answer.headers_mut(),
                    CONTENT_RANGE,
                    format!("bytes */{}", document.size),
                );
                Ok(answer)
            }
            Verdict::Send(Asked::All) => {
                let all = vec![Part::File(0..document.size)];
                let (body, _) = self.content(document, &request.method, all).await?;
                Ok(with_fields(body, StatusCode::OK, document.fields.clone()))
            }
            Verdict::Send(Asked::Parts(parts)) => self.parts(document, &request.method, &parts).await,
        }
    }

    /// Parts of a file: one as it is, several as RFC 9110, 14.6 has it.
    async fn parts(
        &self,
        document: &Document,
        method: &Method,
        parts: &[Range<u64>],
    ) -> io::Result<Response<Answer>> {
        let said = |part: &Range<u64>| format!("bytes {}-{}/{}", part.start, part.end - 1, document.size);
        let mut fields = document.fields.clone();
        let content = if let [part] = parts {
            set(&mut fields, CONTENT_RANGE, said(part));
            vec![Part::File(part.clone())]
        } else {
            let boundary = format!("{:016x}", RandomState::new().build_hasher().finish());
            let kind = fields.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let kind = kind.unwrap_or("application/octet-stream");
            let mut content = Vec::with_capacity(parts.len() * 2 + 1);
            for (place, part) in parts.iter().enumerate() {
                let gap = if place == 0 { "" } else { "\r\n" };
                let said = said(part);
                let head =
                    format!("{gap}--{boundary}\r\ncontent-type: {kind}\r\ncontent-range: {said}\r\n\r\n");
                content.push(Part::Bytes(head.into()));
                content.push(Part::File(part.clone()));
            }
            content.push(Part::Bytes(format!("\r\n--{boundary}--\r\n").into()));
            set(
                &mut fields,
                CONTENT_TYPE,
                format!("multipart/byteranges; boundary={boundary}"),
            );
            content
        };
        let (body, length) = self.content(document, method, content).await?;
        fields.insert(CONTENT_LENGTH, length.into());
        Ok(with_fields(body, StatusCode::PARTIAL_CONTENT, fields))
    }

    /// These parts as the body of an answer, and its length; those of a large file are read while they are sent.
    async fn content(
        &self,
        document: &Document,
        method: &Method,
        parts: Vec<Part>,
    ) -> io::Result<(Answer, u64)> {
        let length = parts.iter().map(Part::size).sum();
        let body = match &document.bytes {
            // RFC 9110, 9.3.2: all but the body.
            _ if method == Method::HEAD => Answer::whole(""),
            Some(bytes) => Answer::whole(together(bytes, &parts)),
            None => {
                let file = self.shelf.reopen(document).await?;
                Answer::File(Box::new(Sending::new(file, parts)))
            }
        };
        Ok((body, length))
    }
}

/// Parts of bytes that are there; one of them is not copied.
fn together(bytes: &Bytes, parts: &[Part]) -> Bytes {
    let slice = |range: &Range<u64>| {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        bytes.slice(place(range.start)..place(range.end))
    };
    if let [Part::File(range)] = parts {
        return slice(range);
    }
    let pieces = parts.iter().map(|part| match part {
        Part::Bytes(bytes) => bytes.clone(),
        Part::File(range) => slice(range),
    });
    pieces.collect::<Vec<_>>().concat().into()
}

fn with_fields(body: Answer, status: StatusCode, fields: HeaderMap) -> Response<Answer> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = fields;
    answer
}

/// Sets a field to text that was made here.
fn set(fields: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        fields.insert(name, value);
    }
}

/// Sends the client to the folder that it asked for as if it were a file, so that what is in it finds its neighbours.
fn moved(request: &Parts) -> Response<Answer> {
    let mut there = format!("{}/", request.uri.path());
    if let Some(query) = request.uri.query() {
        there.push('?');
        there.push_str(query);
    }
    let mut answer = status_only(StatusCode::PERMANENT_REDIRECT);
    set(answer.headers_mut(), LOCATION, there);
    answer
}

fn status_only(status: StatusCode) -> Response<Answer> {
    let mut answer = Response::new(Answer::whole(""));
    *answer.status_mut() = status;
    answer
}

/// What the status says, in words.
fn plain(status: StatusCode) -> Response<Answer> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut answer = Response::new(Answer::whole(format!("{} {reason}\n", status.as_u16())));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn copy(from: &HeaderMap, to: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        to.extend(from.get(name).map(|value| (name.clone(), value.clone())));
    }
}
