//! Answers of a server that is used to develop: they show what is wrong with a guest, as a page or as plain text.
//!
//! Nothing of this is said unless it was asked for: what a guest fails of is nobody's business but its author's.

use crate::body::Answer;
use crate::observe::record::Record;
use crate::refusal::refusal;
use crate::running::Failure;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::fmt::Write as _;
use wherry_engine::error::Frame;

/// The most frames that are shown.
const MOST_FRAMES: usize = 40;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:3rem auto;padding:0 1rem;\
color:#222;background:#fff}h1{font-size:1.3rem}ol,code{font-family:ui-monospace,monospace;font-size:.9rem}\
p.hint{border-left:.25rem solid #c60;padding-left:1rem;white-space:pre-line}footer{color:#777;font-size:.85rem}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}}";

/// What is shown of a failure.
struct Explanation<'a> {
    status: StatusCode,
    application: &'a str,
    request: String,
    message: String,
    hint: Option<&'a str>,
    frames: &'a [Frame],
}

/// Whether a client shows pages.
pub fn wants_page(fields: &HeaderMap) -> bool {
    let mut accepted = fields.get_all(ACCEPT).iter();
    accepted.any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.to_ascii_lowercase().contains("text/html"))
    })
}

/// The answer to a request whose guest failed.
pub fn explained(status: StatusCode, record: &Record, failure: &Failure, page: bool) -> Response<Answer> {
    let frames = match failure {
        Failure::Trap(error) => error.frames(),
        _ => &[],
    };
    let explanation = Explanation {
        status,
        application: record.application().unwrap_or_default(),
        request: record.id.to_string(),
        message: failure.words(),
        hint: failure.hint(),
        frames,
    };
    let mut response = refusal(status, &record.id);
    let fields = response.headers_mut();
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let text = if page {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        let rules = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
        fields.insert(CONTENT_SECURITY_POLICY, rules);
        explanation.page()
    } else {
        explanation.text()
    };
    *response.body_mut() = Answer::whole(Bytes::from(text));
    response
}

/// A frame in one line.
fn line(frame: &Frame) -> String {
    let mut line = match &frame.function {
        Some(function) => function.clone(),
        None => format!("function {}", frame.index),
    };
    if let Some(module) = &frame.module {
        let _ = write!(line, " in {module}");
    }
    if let Some((file, number)) = &frame.location {
        let _ = write!(line, " at {file}:{number}");
    }
    line
}

impl Explanation<'_> {
    fn lines(&self) -> impl Iterator<Item = String> {
        self.frames.iter().take(MOST_FRAMES).map(line)
    }

    fn more(&self) -> Option<String> {
        let more = self.frames.len().saturating_sub(MOST_FRAMES);
        (more > 0).then(|| format!("and {more} more"))
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n\n{}\n", self.status, self.message);
        for line in self.lines() {
            let _ = writeln!(text, "  {line}");
        }
        if let Some(more) = self.more() {
            let _ = writeln!(text, "  {more}");
        }
        if let Some(hint) = self.hint {
            let _ = writeln!(text, "\nhint: {hint}");
        }
        let _ = writeln!(
            text,
            "\napplication {}, request {}",
            self.application, self.request
        );
        text
    }

    fn page(&self) -> String {
        let (status, message) = (self.status, escaped(&self.message));
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{status}</title>\
             <style>{STYLE}</style></head><body>\n<p>{status}</p>\n<h1>{message}</h1>\n"
        );
        if !self.frames.is_empty() {
            page.push_str("<ol>\n");
            for line in self.lines() {
                let _ = writeln!(page, "<li>{}</li>", escaped(&line));
            }
            page.push_str("</ol>\n");
        }
        if let Some(more) = self.more() {
            let _ = writeln!(page, "<p>{more}</p>");
        }
        if let Some(hint) = self.hint {
            let _ = writeln!(page, "<p class=\"hint\">{}</p>", escaped(hint));
        }
        let _ = writeln!(
            page,
            "<footer>application {}, request <code>{}</code>. Seen as the server was started to develop.</footer>\n</body></html>",
            escaped(self.application),
            escaped(&self.request),
        );
        page
    }
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_guest_are_no_markup() {
        let frames = vec![
            Frame {
                function: Some("<script>alert(1)</script>".to_owned()),
                index: 3,
                module: Some("\"m\"".to_owned()),
                location: Some(("a.c".to_owned(), 7)),
            };
            MOST_FRAMES + 2
        ];
        let explanation = Explanation {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            application: "a&b",
            request: "1-2".to_owned(),
            message: "it's <b>".to_owned(),
            hint: Some("try `x`"),
            frames: &frames,
        };
        let page = explanation.page();
        assert!(!page.contains("<script") && !page.contains("<b>"));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; in &quot;m&quot; at a.c:7"));
        assert!(
            page.contains("and 2 more") && page.contains("application a&amp;b, request <code>1-2</code>")
        );
        let text = explanation.text();
        assert!(text.contains("  <script>alert(1)</script> in \"m\" at a.c:7\n"));
        assert!(text.contains("\nhint: try `x`\n"));
    }

    #[test]
    fn pages_are_for_who_shows_them() {
        let accept = |value| HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]);
        assert!(wants_page(&accept("Text/HTML,application/xhtml+xml;q=0.9")));
        assert!(!wants_page(&accept("*/*")));
        assert!(!wants_page(&HeaderMap::new()));
    }
}
