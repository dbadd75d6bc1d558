//! Answers of the server itself, where there is none of a guest. They say what, under a number that the log has too, and
//! nothing of the inside.

use crate::body::Answer;
use crate::observe::identity::{REQUEST_ID, RequestId};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

/// How many seconds a client is asked to stay away for.
const LATER: HeaderValue = HeaderValue::from_static("1");

/// An answer that says no more than its status does.
#[must_use]
pub fn refusal(status: StatusCode, id: &RequestId) -> Response<Answer> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut response = Response::new(Answer::whole(format!("{} {reason}\n", status.as_u16())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(REQUEST_ID, id.value());
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
