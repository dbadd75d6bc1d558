//! Whether a client wants what it asks for only under a condition, and whether that holds: RFC 9110, 13.

use super::ranges::{self, Asked};
use super::shelf::Document;
use headers::{ETag, HeaderMapExt as _, IfMatch, IfModifiedSince, IfNoneMatch, IfUnmodifiedSince};
use http::header::{
    ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, Method};

/// What the conditions of a request come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It gets what it asks for.
    Send(Asked),
    /// It has that already.
    NotModified,
    /// It does not want what is there.
    Failed,
}

/// What a request for a file gets, in the order of 13.2.2.
pub fn judge(method: &Method, fields: &HeaderMap, document: &Document) -> Verdict {
    let tag: Option<ETag> = document.fields.typed_get();
    let tag = tag.as_ref();
    if fields.contains_key(IF_MATCH) {
        let wanted: Option<IfMatch> = fields.typed_get();
        if !wanted.is_some_and(|wanted| tag.is_some_and(|tag| wanted.precondition_passes(tag))) {
            return Verdict::Failed;
        }
    } else if fields.contains_key(IF_UNMODIFIED_SINCE)
        && let Some(modified) = document.modified
        && let Some(since) = fields.typed_get::<IfUnmodifiedSince>()
        && !since.precondition_passes(modified)
    {
        return Verdict::Failed;
    }
    if fields.contains_key(IF_NONE_MATCH) {
        let known: Option<IfNoneMatch> = fields.typed_get();
        if known.is_some_and(|known| tag.is_some_and(|tag| !known.precondition_passes(tag))) {
            return Verdict::NotModified;
        }
    } else if fields.contains_key(IF_MODIFIED_SINCE)
        && let Some(modified) = document.modified
        && let Some(since) = fields.typed_get::<IfModifiedSince>()
        && !since.is_modified(modified)
    {
        return Verdict::NotModified;
    }
    Verdict::Send(range(method, fields, document))
}

/// The parts that are asked for, if it is the file that they were meant for (13.1.5) and the method knows them (14.2).
fn range(method: &Method, fields: &HeaderMap, document: &Document) -> Asked {
    let mut ranges = fields.get_all(RANGE).iter();
    let (Some(range), None, &Method::GET) = (ranges.next(), ranges.next(), method) else {
        return Asked::All;
    };
    let same = |wanted| {
        let validators = [ETAG, LAST_MODIFIED];
        validators
            .iter()
            .any(|name| document.fields.get(name) == Some(wanted))
    };
    match (fields.get(IF_RANGE).is_none_or(same), range.to_str()) {
        (true, Ok(range)) => ranges::asked(range, document.size),
        _ => Asked::All,
    }
}
