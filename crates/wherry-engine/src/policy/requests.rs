//! HTTP requests that a guest is granted: `--allow-http [METHOD[,METHOD] ]URL`.
//!
//! Servers do not agree on what a path means: some take `//` for `/`, some decode `%2F`, some drop what follows a `;`. A path
//! that has to begin with a prefix is therefore read in the plainest and in the most generous way, and both have to.

use super::Policy;
use super::network::{HostPattern, Ports, usage};
use crate::Result;
use std::borrow::Cow;
use std::fmt;

/// Where a guest may send requests to, as in `--allow-http 'GET https://api.example.com/v1'`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpRule {
    /// The methods, in capitals; none is any.
    pub methods: Vec<String>,
    /// `http` or `https`.
    pub scheme: String,
    /// The hosts.
    pub host: HostPattern,
    /// The ports.
    pub ports: Ports,
    /// What a path has to begin with, whole segments of it; begins with `/`.
    pub path: String,
}

impl Policy {
    /// Grants requests, as in `--allow-http URL`.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::Kind::Usage) when it is no URL.
    pub fn allow_http(&mut self, text: &str) -> Result<()> {
        let rule = HttpRule::parse(text)?;
        if !self.http.contains(&rule) {
            self.http.push(rule);
        }
        Ok(())
    }
}

impl HttpRule {
    fn parse(text: &str) -> Result<Self> {
        let (methods, url) = match text.trim().split_once(char::is_whitespace) {
            Some((methods, url)) => (methods_of(methods)?, url.trim_start()),
            None => (Vec::new(), text.trim()),
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(usage(format!("`{url}` has no scheme")).with_hint(format!("write `https://{url}`")));
        };
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(usage(format!("`{scheme}` is neither `http` nor `https`"))
                .with_hint("other protocols are granted by `--allow-net HOST:PORT`"));
        }
        if rest.contains(['?', '#']) {
            return Err(
                usage("a rule covers every query: leave `?` and `#` out".to_owned())
                    .with_hint("such as `https://api.example.com/v1`"),
            );
        }
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err(
                usage("a rule names no user".to_owned()).with_hint("such as `https://api.example.com/v1`")
            );
        }
        let (host, ports) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Ports::parse(port)?),
            _ => (authority, Ports::One(default_port(&scheme))),
        };
        if generous(path) != path.strip_suffix('/').unwrap_or(path) {
            return Err(usage(format!("`{path}` can be read in several ways"))
                .with_hint("write the path without `..`, `//`, `;` and escapes"));
        }
        Ok(Self {
            methods,
            host: HostPattern::parse(host)?,
            ports,
            path: path.to_owned(),
            scheme,
        })
    }

    /// Whether it covers a request to a host that it covers: see [`HostPattern`] for that.
    #[must_use]
    pub fn covers(&self, method: &str, scheme: &str, port: u16, path: &str) -> bool {
        self.scheme == scheme
            && self.ports.cover(port)
            && (self.methods.is_empty() || self.methods.iter().any(|own| own == method))
            && begins(&plain(path), &self.path)
            && begins(&generous(path), &self.path)
    }
}

/// The port of a scheme.
#[must_use]
pub fn default_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

/// A path as a URL's parser sends it: `.` and `..`, however written, are walked.
#[must_use]
pub fn plain(path: &str) -> Cow<'_, str> {
    let dots = |segment: &str| dots(segment).is_some();
    if !path.split('/').any(dots) {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for segment in path.split('/').skip(1) {
        open = true;
        match self::dots(segment) {
            Some(2) => {
                kept.pop();
            }
            Some(_) => {}
            None => {
                kept.push(segment);
                open = false;
            }
        }
    }
    if open {
        kept.push("");
    }
    Cow::Owned(format!("/{}", kept.join("/")))
}

/// How many dots a segment is that leads here or up.
fn dots(segment: &str) -> Option<usize> {
    let mut rest = segment;
    let mut count = 0;
    while !rest.is_empty() {
        rest = match rest.as_bytes() {
            [b'.', ..] => &rest[1..],
            [b'%', b'2', b'e' | b'E', ..] => &rest[3..],
            _ => return None,
        };
        count += 1;
    }
    matches!(count, 1 | 2).then_some(count)
}

/// A path as the most generous of servers may take it: decoded as often as it can be, with `\` for `/`, without parameters
/// and empty segments, and walked.
fn generous(path: &str) -> String {
    let mut bytes = path.as_bytes().to_vec();
    loop {
        let decoded = decoded(&bytes);
        if decoded == bytes {
            break;
        }
        bytes = decoded;
    }
    let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
    let mut kept: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    kept.iter()
        .fold(String::new(), |path, segment| path + "/" + segment)
}

/// Percent-decodes once.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut found = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        let pair = (*byte == b'%')
            .then(|| Some((digit(*after.first()?)?, digit(*after.get(1)?)?)))
            .flatten();
        if let Some((high, low)) = pair {
            found.push(high << 4 | low);
            rest = &after[2..];
        } else {
            found.push(*byte);
            rest = after;
        }
    }
    found
}

/// Whether a path begins with whole segments of another.
fn begins(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn methods_of(text: &str) -> Result<Vec<String>> {
    let token = |method: &str| {
        !method.is_empty()
            && method
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !text.split(',').all(token) {
        return Err(usage(format!("`{text}` is no list of methods"))
            .with_hint("such as `'GET https://example.com'` or `'GET,HEAD https://example.com'`"));
    }
    let mut methods: Vec<String> = Vec::new();
    for method in text.split(',').map(str::to_ascii_uppercase) {
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    Ok(methods)
}

impl fmt::Display for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(f, "{} ", self.methods.join(","))?;
        }
        write!(f, "{}://{}", self.scheme, self.host)?;
        if self.ports != Ports::One(default_port(&self.scheme)) {
            write!(f, ":{}", self.ports)?;
        }
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> HttpRule {
        HttpRule::parse(text).unwrap()
    }

    #[test]
    fn a_rule_prints_as_it_is_typed() {
        for (text, printed) in [
            ("https://api.example.com", "https://api.example.com/"),
            ("HTTPS://API.example.com:443/v1", "https://api.example.com/v1"),
            ("http://localhost:8080/v1/", "http://localhost:8080/v1/"),
            ("GET https://*.example.com/", "GET https://*.example.com/"),
            ("get,HEAD,get  http://[::1]:80/x", "GET,HEAD http://[::1]/x"),
            ("https://*:*/", "https://*:*/"),
            ("http://10.0.0.1/", "http://10.0.0.1/"),
        ] {
            assert_eq!(rule(text).to_string(), printed);
            assert_eq!(rule(printed), rule(text));
        }
    }

    #[test]
    fn what_is_no_rule_says_how_to_write_one() {
        for (text, message, hint) in [
            (
                "api.example.com/v1",
                "has no scheme",
                "`https://api.example.com/v1`",
            ),
            ("ftp://example.com", "`ftp` is neither", "--allow-net"),
            ("https://example.com/?a", "every query", "such as"),
            ("https://user@example.com/", "names no user", "such as"),
            ("https://example.com:0/", "port 0", "any port"),
            ("https:///v1", "`` is neither", "such as"),
            ("G(T https://example.com", "no list of methods", "GET,HEAD"),
            ("https://example.com/a/../b", "several ways", "without"),
            ("https://example.com/a//b", "several ways", "without"),
            ("https://example.com/a%2fb", "several ways", "without"),
        ] {
            let error = HttpRule::parse(text).unwrap_err();
            assert!(error.message().contains(message), "{text}: {}", error.message());
            assert!(
                error.hint().unwrap_or_default().contains(hint),
                "{text}: {:?}",
                error.hint()
            );
        }
    }

    #[test]
    fn a_prefix_is_whole_segments_however_the_path_is_written() {
        for (path, expected) in [
            ("/v1", true),
            ("/v1/", true),
            ("/v1/users", true),
            ("/v1/users/..", true),
            ("/v1//users", true),
            ("/v1/a%20b", true),
            ("/v1/a;b=c", true),
            ("/v10", false),
            ("/", false),
            ("/V1", false),
            ("/v1/..", false),
            ("/v1/../admin", false),
            ("/v1/%2e%2e/admin", false),
            ("/v1/.%2E/admin", false),
            ("/v1/%252e%252e/admin", false),
            ("/v1/%252525252e./admin", false),
            ("/v1//../admin", false),
            ("/v1/..%2fadmin", false),
            ("/v1/..\\admin", false),
            ("/v1/..%5cadmin", false),
            ("/v1/..;/admin", false),
            ("/v1/..;x=1/admin", false),
            ("//v1", false),
            ("/x/../v1", true),
            ("/%2e/v1", true),
        ] {
            assert_eq!(
                rule("https://example.com/v1").covers("GET", "https", 443, path),
                expected,
                "{path}"
            );
        }
        assert!(rule("https://example.com").covers("GET", "https", 443, "/a//../..;/%2e"));
    }

    #[test]
    fn method_scheme_and_port_count() {
        let rule = rule("GET,PUT http://example.com/");
        assert!(rule.covers("PUT", "http", 80, "/"));
        assert!(!rule.covers("POST", "http", 80, "/"));
        assert!(!rule.covers("get", "http", 80, "/"));
        assert!(!rule.covers("GET", "https", 80, "/"));
        assert!(!rule.covers("GET", "http", 8080, "/"));
    }

    #[test]
    fn dots_are_walked_before_a_path_is_sent() {
        for (path, sent) in [
            ("/", "/"),
            ("/a//b", "/a//b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/../../x", "/x"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/...", "/a/..."),
            ("/a/%2ex", "/a/%2ex"),
        ] {
            assert_eq!(plain(path), sent, "{path}");
        }
    }
}
