//! From the path of a request to the path of a file, which is plain: no way out of the folder, and nothing hidden.
//!
//! What the system itself would follow out of the folder, such as a link, is refused where files are opened: see `shelf`.

use percent_encoding::percent_decode_str;

/// What is served although its name begins with a dot: RFC 8615.
const WELL_KNOWN: &str = ".well-known";

/// A file that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its path in the folder, with `/` between its parts; empty for the folder itself.
    pub path: String,
    /// Whether a folder was asked for, by a `/` at the end.
    pub folder: bool,
}

/// The file that the path of a request means; `None` for what can be none.
pub fn wanted(path: &str) -> Option<Wanted> {
    let path = path.strip_prefix('/')?;
    let mut plain = String::with_capacity(path.len());
    if path.is_empty() {
        return Some(Wanted {
            path: plain,
            folder: true,
        });
    }
    let (path, folder) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
    for (place, part) in path.split('/').enumerate() {
        let part = decoded(part)?;
        if part.starts_with('.') && (place > 0 || part != WELL_KNOWN) {
            return None;
        }
        if place > 0 {
            plain.push('/');
        }
        plain.push_str(&part);
    }
    Some(Wanted { path: plain, folder })
}

/// One part of a path, decoded once (RFC 3986, 2.4). A name with what separates parts is none, here or elsewhere.
fn decoded(part: &str) -> Option<std::borrow::Cow<'_, str>> {
    let mut rest = part.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let digits = rest.get(at + 1..at + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = &rest[at + 3..];
    }
    let name = percent_decode_str(part).decode_utf8().ok()?;
    let foreign = |one: char| matches!(one, '/' | '\\' | '\0') || (cfg!(windows) && one == ':');
    (!name.is_empty() && !name.contains(foreign)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_files() {
        for (path, expected, folder) in [
            ("/", "", true),
            ("/a.txt", "a.txt", false),
            ("/a/b.txt", "a/b.txt", false),
            ("/a/", "a", true),
            ("/a%20b/%C3%A9", "a b/é", false),
            ("/100%25", "100%", false),
            ("/%2541", "%41", false),
            ("/a..b/c...", "a..b/c...", false),
            ("/.well-known/acme", ".well-known/acme", false),
        ] {
            let path = wanted(path).expect(path);
            assert_eq!((path.path.as_str(), path.folder), (expected, folder));
        }
    }

    #[test]
    fn what_leads_elsewhere_means_none() {
        for path in [
            "",
            "*",
            "a.txt",
            "//",
            "//a",
            "/a//b",
            "/.",
            "/..",
            "/../a",
            "/a/../b",
            "/a/..",
            "/%2e%2e/a",
            "/%2E./a",
            "/a%2f..%2fb",
            "/a%2Fb",
            "/a\\b",
            "/a%5cb",
            "/..%5ca",
            "/a%00",
            "/a%00.txt",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
            "/%c0%ae%c0%ae/a",
            "/.git/config",
            "/a/.env",
            "/a/.well-known/b",
            "/.well-known/.b",
            "/.well-known2",
            "/%2egit/config",
        ] {
            assert_eq!(wanted(path), None, "{path}");
        }
    }
}
