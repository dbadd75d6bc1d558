//! Which application answers a request: by the host that it names, then by its path.
//!
//! A route is a host and a path, `shop.example.com/basket/:id`, or a path alone, which is for every host. Of the hosts an exact one
//! comes before one such as `*.example.com`, the longest of those first, and then come routes without a host; of the paths a plain
//! segment comes before `:name`, and that before `*rest`. A host whose routes do not match leaves the request to the next.

use crate::application::Application;
use crate::statistics::{Account, Statistics};
use matchit::{InsertError, Router};
use std::collections::HashMap;
use std::sync::Arc;
use wherry_engine::error::{Error, Kind, Result};

/// All routes of a server. It is never changed: a server that gets other applications gets another table.
#[derive(Default)]
pub struct Table {
    applications: Vec<Arc<Application>>,
    exact: HashMap<String, Router<Arc<Route>>>,
    /// By what follows the star, `.example.com`; the longest first.
    under: Vec<(String, Router<Arc<Route>>)>,
    any: Router<Arc<Route>>,
    /// The hosts of the routes that who runs the server said.
    said: Vec<Host>,
}

/// A route, and who answers there.
pub struct Route {
    /// As it was written.
    pub pattern: Arc<str>,
    /// Its path as far as that is the same for all requests, without a slash at its end.
    pub prefix: String,
    /// Who answers.
    pub application: Arc<Application>,
    /// What is noted of its requests.
    pub account: Arc<Account>,
}

/// Where a route holds, in lower case.
#[derive(Clone, PartialEq)]
enum Host {
    Any,
    Exact(String),
    Under(String),
}

/// A route as the router has it.
struct Entry {
    host: Host,
    path: String,
    route: Arc<Route>,
}

impl Entry {
    /// Whether both are for the same requests.
    fn conflicts(&self, other: &Entry) -> bool {
        let mut router = Router::new();
        self.host == other.host
            && router.insert(&self.path, ()).is_ok()
            && router.insert(&other.path, ()).is_err()
    }
}

impl Table {
    /// The table of these applications and their routes, whose requests are counted in `statistics`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a route that is none, and for two that the same request could mean.
    pub fn new(applications: Vec<Arc<Application>>, statistics: &Statistics) -> Result<Self> {
        let mut table = Self {
            applications,
            ..Self::default()
        };
        let mut entered = Vec::new();
        for application in table.applications.clone() {
            let account = statistics.of(&application.settings().name);
            for pattern in &application.settings().routes {
                let (host, path) = split(pattern)?;
                let entry = Entry {
                    host,
                    path: translate(pattern, path)?,
                    route: Arc::new(Route {
                        prefix: prefix(path),
                        pattern: pattern.as_str().into(),
                        application: Arc::clone(&application),
                        account: Arc::clone(&account),
                    }),
                };
                table.enter(&entry, &entered)?;
                if application.settings().routes_said && !table.said.contains(&entry.host) {
                    table.said.push(entry.host.clone());
                }
                entered.push(entry);
            }
        }
        // What ends in `/*rest` answers without the rest too, unless another route is just that.
        for entry in &entered {
            if let Some(star) = entry.path.rfind("/{*") {
                let router = table.router(&entry.host);
                for path in [&entry.path[..star], &entry.path[..=star]] {
                    if !path.is_empty() {
                        let _ = router.insert(path, Arc::clone(&entry.route));
                    }
                }
            }
        }
        table
            .under
            .sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        Ok(table)
    }

    /// Every application.
    #[must_use]
    pub fn applications(&self) -> &[Arc<Application>] {
        &self.applications
    }

    /// Who answers a request for this host, without its port, and this path.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        if self.exact.is_empty() && self.under.is_empty() {
            return at(&self.any, path);
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let exact = self.exact.get(&host).into_iter();
        let under = self.under.iter().filter(|(suffix, _)| is_under(&host, suffix));
        exact
            .chain(under.map(|(_, router)| router))
            .chain([&self.any])
            .find_map(|router| at(router, path))
    }

    /// Whether requests for this host, in lower case, belong here: a route names it that who runs the server said. An application
    /// whose manifest names somebody's host gets nothing of what others send there.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        self.said.iter().any(|said| match said {
            Host::Any => false,
            Host::Exact(name) => name == host,
            Host::Under(suffix) => is_under(host, suffix),
        })
    }

    fn enter(&mut self, entry: &Entry, before: &[Entry]) -> Result<()> {
        let entered = self
            .router(&entry.host)
            .insert(&entry.path, Arc::clone(&entry.route));
        entered.map_err(|error| {
            let in_the_way = before.iter().find(|other| other.conflicts(entry));
            match in_the_way {
                Some(other) if matches!(error, InsertError::Conflict { .. }) => {
                    conflict(&entry.route, &other.route)
                }
                _ => wrong(&entry.route.pattern, "cannot be told from another one"),
            }
        })
    }

    fn router(&mut self, host: &Host) -> &mut Router<Arc<Route>> {
        match host {
            Host::Any => &mut self.any,
            Host::Exact(name) => self.exact.entry(name.clone()).or_default(),
            Host::Under(suffix) => {
                let found = self.under.iter().position(|(known, _)| known == suffix);
                let index = found.unwrap_or_else(|| {
                    self.under.push((suffix.clone(), Router::new()));
                    self.under.len() - 1
                });
                &mut self.under[index].1
            }
        }
    }
}

/// Whether a host is one of those of `*.example.com`, of which the suffix is all after the star.
fn is_under(host: &str, suffix: &str) -> bool {
    host.len() > suffix.len() && host.ends_with(suffix)
}

fn at<'a>(router: &'a Router<Arc<Route>>, path: &str) -> Option<&'a Arc<Route>> {
    router.at(path).ok().map(|found| found.value)
}

/// Host and path of a route.
fn split(pattern: &str) -> Result<(Host, &str)> {
    let slash = pattern.find('/').ok_or_else(|| wrong(pattern, "has no path"))?;
    let (host, path) = pattern.split_at(slash);
    if host.contains([':', '@', '?', '#', ' ']) {
        return Err(wrong(pattern, "has more than a name before its path"));
    }
    let host = match host.strip_prefix('*') {
        _ if host.is_empty() => Host::Any,
        Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 && !suffix.contains('*') => {
            Host::Under(suffix.to_ascii_lowercase())
        }
        None if !host.contains('*') => Host::Exact(host.to_ascii_lowercase()),
        _ => return Err(wrong(pattern, "has a star where a host cannot have one")),
    };
    Ok((host, path))
}

/// A path in the form of the router: `/a/:id/*rest` is `/a/{id}/{*rest}` there.
fn translate(pattern: &str, path: &str) -> Result<String> {
    let mut translated = String::with_capacity(path.len() + 4);
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        translated.push('/');
        let (name, star) = match segment.split_at_checked(1) {
            Some((":", name)) => (name, ""),
            Some(("*", name)) if segments.peek().is_none() => (name, "*"),
            Some(("*", _)) => return Err(wrong(pattern, "has `*` before its last segment")),
            _ => {
                translated.push_str(&segment.replace('{', "{{").replace('}', "}}"));
                continue;
            }
        };
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(wrong(
                pattern,
                "has a segment without a name, such as `:id` or `*rest`",
            ));
        }
        translated.push('{');
        translated.push_str(star);
        translated.push_str(name);
        translated.push('}');
    }
    Ok(translated)
}

/// A path up to its first segment that is not plain.
fn prefix(path: &str) -> String {
    let end = path.find("/:").into_iter().chain(path.find("/*")).min();
    path[..end.unwrap_or(path.len())].trim_end_matches('/').to_owned()
}

fn wrong(pattern: &str, why: &str) -> Error {
    Error::new(Kind::Usage, format!("`{pattern}` is no route: it {why}"))
        .with_hint("such as `/*rest`, `/basket/:id` or `shop.example.com/*rest`")
}

fn conflict(route: &Route, other: &Route) -> Error {
    let message = format!(
        "the routes `{}` of `{}` and `{}` of `{}` are for the same requests",
        other.pattern,
        other.application.settings().name,
        route.pattern,
        route.application.settings().name,
    );
    Error::new(Kind::Usage, message).with_hint("another host or path for one of them")
}
