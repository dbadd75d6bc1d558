//! What a command is told of its request, as variables of its environment: RFC 3875, 4.1.

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Fields that have variables of their own, or are between the client and the server.
const APART: [HeaderName; 9] = [
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The same which have no names in the library. A `Proxy` field would become `HTTP_PROXY`, by which programs are told where
/// their own requests go: CVE-2016-5385.
const APART_TOO: [&str; 3] = ["proxy", "keep-alive", "proxy-connection"];

/// Who talks to whom.
pub struct Between {
    /// The client.
    pub client: IpAddr,
    /// Its port, where it is known.
    pub port: Option<u16>,
    /// Where the server listens.
    pub server: SocketAddr,
    /// How much of the path named the command; the rest is told apart.
    pub script: usize,
}

/// The environment of a command: what it was granted, and what its request says. `None` where it cannot be told.
///
/// What the operator set is never changed by a field of the request, and never stands in for what the server says.
pub fn environment(
    granted: &[(String, String)],
    request: &Parts,
    between: &Between,
) -> Option<Vec<(String, String)>> {
    let mut variables = fields(&request.headers);
    variables.extend(granted.iter().cloned());
    for (name, value) in told(request, between)? {
        variables.insert(name.to_owned(), value);
    }
    for (name, field) in [("CONTENT_TYPE", CONTENT_TYPE), ("CONTENT_LENGTH", CONTENT_LENGTH)] {
        match request.headers.get(field) {
            Some(value) => variables.insert(name.to_owned(), text(value)),
            // What the operator said of it would be about no request.
            None => variables.remove(name),
        };
    }
    Some(variables.into_iter().collect())
}

/// What the server itself says.
fn told(request: &Parts, between: &Between) -> Option<Vec<(&'static str, String)>> {
    let path = request.uri.path();
    let script = path.get(..between.script)?;
    let rest = path.get(between.script..)?;
    let authority = request.uri.authority();
    let host = authority.map(|authority| authority.host().to_owned());
    let port = authority.and_then(http::uri::Authority::port_u16);
    let secure = request.uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    let usual = if secure { 443 } else { 80 };
    let named = authority.is_some_and(|authority| authority.host() != between.server.ip().to_string());
    let port = port.unwrap_or(if named { usual } else { between.server.port() });
    let protocol = match request.version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    };
    let mut told = vec![
        ("GATEWAY_INTERFACE", "CGI/1.1".to_owned()),
        ("PATH_INFO", decoded(rest)?),
        ("QUERY_STRING", request.uri.query().unwrap_or_default().to_owned()),
        ("REQUEST_METHOD", request.method.to_string()),
        ("REQUEST_SCHEME", if secure { "https" } else { "http" }.to_owned()),
        (
            "REQUEST_URI",
            request
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str())
                .to_owned(),
        ),
        ("SCRIPT_NAME", decoded(script)?),
        (
            "SERVER_NAME",
            host.unwrap_or_else(|| between.server.ip().to_string()),
        ),
        ("SERVER_PORT", port.to_string()),
        ("SERVER_PROTOCOL", protocol.to_owned()),
        ("SERVER_SOFTWARE", "wherry".to_owned()),
    ];
    let client = between.client.to_canonical().to_string();
    // 4.1.9: the address stands for a name that is not looked up.
    told.extend([("REMOTE_ADDR", client.clone()), ("REMOTE_HOST", client)]);
    told.extend(between.port.map(|port| ("REMOTE_PORT", port.to_string())));
    if secure {
        told.push(("HTTPS", "on".to_owned()));
    }
    Some(told)
}

/// The fields of a request by the names that variables have for them: 4.1.18.
fn fields(fields: &HeaderMap) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for name in fields.keys() {
        // `_` in a field would become that of another one.
        let apart = APART.contains(name) || APART_TOO.contains(&name.as_str()) || name.as_str().contains('_');
        if apart {
            continue;
        }
        let between = if name == http::header::COOKIE { "; " } else { ", " };
        let values: Vec<String> = fields.get_all(name).iter().map(text).collect();
        let variable = format!("HTTP_{}", name.as_str().to_ascii_uppercase().replace('-', "_"));
        variables.insert(variable, values.join(between));
    }
    variables
}

/// The value of a field: UTF-8, or else each byte the character of that number.
fn text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect())
}

/// A path as it is meant: 4.1.5.
fn decoded(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use std::collections::HashMap;

    fn told_of(
        request: http::request::Builder,
        script: usize,
        granted: &[(&str, &str)],
    ) -> Option<HashMap<String, String>> {
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let between = Between {
            client: IpAddr::from([192, 0, 2, 7]),
            port: Some(4711),
            server: SocketAddr::from(([127, 0, 0, 1], 8080)),
            script,
        };
        let granted: Vec<_> = granted
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Some(environment(&granted, &parts, &between)?.into_iter().collect())
    }

    #[test]
    fn a_request_is_told_in_variables() {
        let request = Request::post("http://example.com:81/cgi/tool/a%20b/c?x=%20&y")
            .header("content-type", "text/plain")
            .header("content-length", "3")
            .header("x-one", "1")
            .header("x-one", "2")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("x-latin", HeaderValue::from_bytes(b"\xe9").expect("opaque"))
            .header("authorization", "Basic x");
        let told = told_of(request, "/cgi/tool".len(), &[("GREETING", "hello")]).expect("variables");
        for (name, value) in [
            ("AUTH_TYPE", None),
            ("CONTENT_LENGTH", Some("3")),
            ("CONTENT_TYPE", Some("text/plain")),
            ("GATEWAY_INTERFACE", Some("CGI/1.1")),
            ("GREETING", Some("hello")),
            ("HTTPS", None),
            ("HTTP_AUTHORIZATION", Some("Basic x")),
            ("HTTP_CONTENT_LENGTH", None),
            ("HTTP_COOKIE", Some("a=1; b=2")),
            ("HTTP_X_LATIN", Some("é")),
            ("HTTP_X_ONE", Some("1, 2")),
            ("PATH_INFO", Some("/a b/c")),
            ("QUERY_STRING", Some("x=%20&y")),
            ("REMOTE_ADDR", Some("192.0.2.7")),
            ("REMOTE_HOST", Some("192.0.2.7")),
            ("REQUEST_METHOD", Some("POST")),
            ("REQUEST_URI", Some("/cgi/tool/a%20b/c?x=%20&y")),
            ("SCRIPT_NAME", Some("/cgi/tool")),
            ("SERVER_NAME", Some("example.com")),
            ("SERVER_PORT", Some("81")),
            ("SERVER_PROTOCOL", Some("HTTP/1.1")),
        ] {
            assert_eq!(told.get(name).map(String::as_str), value, "{name}");
        }
    }

    #[test]
    fn what_is_not_there_is_empty_or_missing() {
        let told = told_of(
            Request::get("https://example.com/"),
            0,
            &[("CONTENT_LENGTH", "5")],
        );
        let told = told.expect("variables");
        assert_eq!(told["PATH_INFO"], "/");
        assert_eq!(told["SCRIPT_NAME"], "");
        assert_eq!(told["QUERY_STRING"], "");
        assert_eq!(told["SERVER_PORT"], "443");
        assert_eq!(told["HTTPS"], "on");
        assert!(!told.contains_key("CONTENT_LENGTH"));
        assert!(!told.contains_key("CONTENT_TYPE"));
    }

    #[test]
    fn fields_take_no_place_of_anything_else() {
        let request = Request::get("http://example.com/")
            .header("proxy", "http://evil.example")
            .header("x_forwarded_for", "192.0.2.1")
            .header("timeout", "0")
            .header("connection", "close")
            .header("proxy-authorization", "x");
        let granted = [("HTTP_TIMEOUT", "30"), ("REQUEST_METHOD", "DELETE")];
        let told = told_of(request, 0, &granted).expect("variables");
        assert!(!told.contains_key("HTTP_PROXY"));
        assert!(!told.contains_key("HTTP_X_FORWARDED_FOR"));
        assert!(!told.contains_key("HTTP_CONNECTION"));
        assert!(!told.contains_key("HTTP_PROXY_AUTHORIZATION"));
        assert_eq!(told["HTTP_TIMEOUT"], "30");
        assert_eq!(told["REQUEST_METHOD"], "GET");
    }

    #[test]
    fn a_path_that_is_no_text_cannot_be_told() {
        for path in ["/%00", "/a%ff"] {
            assert!(
                told_of(Request::get(format!("http://example.com{path}")), 0, &[]).is_none(),
                "{path}"
            );
        }
    }
}
