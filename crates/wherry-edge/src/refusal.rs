//! Answers of the server itself, where there is none of a guest. They say what, under a number that the log has too, and
//! nothing of the inside.

use crate::body::Answer;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where an answer of the server says which request it was.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How many seconds a client is asked to stay away for.
const LATER: HeaderValue = HeaderValue::from_static("1");

/// The number of a request that went wrong: not to be guessed from another server's, and different in each.
#[must_use]
pub fn request_id() -> String {
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}-{:x}", *START, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An answer that says no more than its status does.
#[must_use]
pub fn refusal(status: StatusCode, id: &str) -> Response<Answer> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut response = Response::new(Answer::whole(format!("{} {reason}\n", status.as_u16())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE => drop(headers.insert(RETRY_AFTER, LATER)),
        // What follows cannot be told from the body of the request that was not read, or from what is malformed.
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::URI_TOO_LONG
        | StatusCode::MISDIRECTED_REQUEST
        | StatusCode::EXPECTATION_FAILED
        | StatusCode::NOT_IMPLEMENTED => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}
