//! Of what was granted by HTTP what was asked for: the methods, and the folders that the paths have in common.
//!
//! A rule covers whole folders, as one of files does: a program that asked for `/api/users/7` may ask for `/api/users/8` the
//! next time. Where requests have nothing in common but the root, each of its folders has a rule.

use crate::monitor::{Access, Subject};
use crate::policy::{Host, HttpRule, Policy, default_port, host};
use std::collections::BTreeMap;

/// The most rules that stand for one; with more it is the root of all of them that is granted.
const MOST: usize = 16;

/// A request as it was noted: `GET https://api.example.com/v1/users`.
struct Asked<'a> {
    method: &'a str,
    scheme: &'a str,
    host: Host,
    port: u16,
    path: &'a str,
}

impl<'a> Asked<'a> {
    fn read(target: &'a str) -> Option<Self> {
        let (method, url) = target.split_once(' ')?;
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, port.parse().ok()?),
            _ => (authority, default_port(scheme)),
        };
        Some(Self {
            method,
            scheme,
            host: host(name)?,
            port,
            path,
        })
    }

    fn by(&self, rule: &HttpRule) -> bool {
        let hosts = match &self.host {
            Host::Name(name) => rule.host.covers_name(name),
            Host::Address(address) => rule.host.covers_address(*address),
        };
        hosts && rule.covers(self.method, self.scheme, self.port, self.path)
    }
}

/// What of `rule` the requests among `used` needed; nothing where there are none.
pub(super) fn narrowed(rule: &HttpRule, used: &[&Access]) -> Vec<HttpRule> {
    let requests = used.iter().filter(|access| access.subject == Subject::Http);
    let asked: Vec<Asked<'_>> = requests
        .filter_map(|access| Asked::read(&access.target))
        .filter(|asked| asked.by(rule))
        .collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let whole = common(&asked);
    if whole.len() > 1 {
        return vec![over(rule, &whole, &asked)];
    }
    // At the root itself a path stands alone, as one of its files would.
    let mut places: BTreeMap<&str, Vec<Asked<'_>>> = BTreeMap::new();
    for one in asked {
        let first = one.path[1..].find('/').map_or(one.path, |at| &one.path[..=at]);
        places.entry(first).or_default().push(one);
    }
    let alone = |(first, asked): &(&&str, &Vec<Asked<'_>>)| {
        let folder = common(asked);
        over(rule, if folder.len() > 1 { &folder } else { first }, asked)
    };
    if places.len() <= MOST {
        return places.iter().map(|place| alone(&place)).collect();
    }
    let asked: Vec<Asked<'_>> = places.into_values().flatten().collect();
    vec![over(rule, "/", &asked)]
}

/// The folder that all paths are in; it ends with a slash.
fn common(asked: &[Asked<'_>]) -> String {
    let folder = |path: &str| path[..=path.rfind('/').unwrap_or_default()].to_owned();
    let mut paths = asked.iter().map(|one| folder(one.path));
    let first = paths.next().unwrap_or_else(|| "/".to_owned());
    paths.fold(first, |common, path| {
        let shared = common.split_inclusive('/').zip(path.split_inclusive('/'));
        shared
            .take_while(|(one, other)| one == other)
            .map(|(one, _)| one)
            .collect()
    })
}

/// The same rule over a path, or over one above it where a rule cannot have that one, for the methods that were used.
fn over(rule: &HttpRule, path: &str, asked: &[Asked<'_>]) -> HttpRule {
    let mut methods: Vec<String> = asked.iter().map(|one| one.method.to_owned()).collect();
    methods.sort();
    methods.dedup();
    let mut narrow = HttpRule {
        methods,
        path: path.to_owned(),
        ..rule.clone()
    };
    let sound = |narrow: &HttpRule| {
        let mut again = Policy::default();
        again.allow_http(&narrow.to_string()).is_ok()
            && again.http == [narrow.clone()]
            && asked.iter().all(|one| one.by(narrow))
    };
    // A path that servers may read in several ways is no rule, nor is any method that a guest can make up.
    while !sound(&narrow) && narrow.path.len() > rule.path.len() {
        let shorter = narrow.path.trim_end_matches('/').rfind('/').unwrap_or_default();
        narrow.path.truncate(shorter + 1);
    }
    if sound(&narrow) { narrow } else { rule.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a rule after these requests.
    fn left(rule: &str, targets: &[&str]) -> Vec<String> {
        let mut policy = Policy::default();
        policy.allow_http(rule).unwrap();
        let accesses: Vec<Access> = targets
            .iter()
            .map(|target| Access {
                subject: Subject::Http,
                operation: "request",
                target: (*target).to_owned(),
            })
            .collect();
        let used: Vec<&Access> = accesses.iter().collect();
        narrowed(&policy.http[0], &used)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_rule_is_narrowed_to_what_was_asked_for() {
        let origin = "https://a.example/";
        for (rule, targets, expected) in [
            (origin, &[][..], &[][..]),
            (origin, &["GET https://b.example/x/y"], &[]),
            (
                origin,
                &["GET https://a.example/api/users"],
                &["GET https://a.example/api/"],
            ),
            (
                origin,
                &["GET https://a.example/api/a/b", "POST https://a.example/api/c"],
                &["GET,POST https://a.example/api/"],
            ),
            (
                origin,
                &["GET https://a.example/apix/a", "PUT https://a.example/api/c"],
                &["PUT https://a.example/api/", "GET https://a.example/apix/"],
            ),
            (
                origin,
                &["GET https://a.example/index"],
                &["GET https://a.example/index"],
            ),
            (origin, &["GET https://a.example/"], &["GET https://a.example/"]),
            (
                origin,
                &["GET https://a.example/a%20b/c", "GET https://a.example/a%20b/d"],
                &["GET https://a.example/"],
            ),
            (
                origin,
                &["GET https://a.example/v1/a%20b/c"],
                &["GET https://a.example/v1/"],
            ),
            (origin, &["M!X https://a.example/v1/c"], &["https://a.example/"]),
            (
                "http://*.example:*/",
                &["GET http://a.example:81/v1/c"],
                &["GET http://*.example:*/v1/"],
            ),
            (
                "GET,PUT https://a.example/v1",
                &["PUT https://a.example/v1"],
                &["PUT https://a.example/v1"],
            ),
            (
                "http://[::1]:81/",
                &["HEAD http://[::1]:81/x/y"],
                &["HEAD http://[::1]:81/x/"],
            ),
        ] {
            assert_eq!(left(rule, targets), expected, "{rule} {targets:?}");
        }
    }

    #[test]
    fn many_places_are_one() {
        let targets: Vec<String> = (0..=MOST)
            .map(|place| format!("GET https://a.example/{place}"))
            .collect();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        assert_eq!(left("https://a.example/", &targets[1..]).len(), MOST);
        assert_eq!(left("https://a.example/", &targets), ["GET https://a.example/"]);
    }
}
