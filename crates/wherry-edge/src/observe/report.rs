//! What a server says of itself to who watches.

use crate::observe::admin::Watched;
use crate::observe::exposition::{self, Text};
use crate::observe::process;
use crate::service::Service;
use crate::statistics::Account;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

impl Watched for Service {
    fn unready(&self) -> Option<&'static str> {
        if self.stopping.load(Ordering::Relaxed) {
            Some("the server is stopping")
        } else if self.stale.load(Ordering::Relaxed) {
            Some("what is served could not be loaded again; what was served before goes on")
        } else {
            None
        }
    }

    fn metrics(&self) -> String {
        let mut text = Text::default();
        let build = "wherry_build_info";
        text.family(build, "gauge", "The version of the server; always 1.");
        text.sample(build, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let accounts = self.statistics.accounts();
        let counted = accounts
            .iter()
            .map(|account| (&*account.name, account.metrics.read()));
        exposition::write(&mut text, &counted.collect::<Vec<_>>());
        self.write_waiting(&mut text);
        write_wrong(&mut text, &accounts);
        self.write_connections(&mut text);
        self.observer.expose(&mut text);
        process::write(&mut text);
        text.finish()
    }

    fn statistics(&self) -> Value {
        let (accepted, open) = self.connections();
        json!({
            "connections": accepted,
            "open_connections": open,
            "ready": self.unready().is_none(),
            "applications": self.counters(),
        })
    }
}

/// Those of one application, of whose requests so many wait for a place.
fn counters(account: &Account, waiting: usize) -> BTreeMap<&'static str, u64> {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counted = account.metrics.read();
    BTreeMap::from([
        ("requests", counted.began),
        ("active", counted.began.saturating_sub(counted.ended)),
        ("instances", counted.instances),
        ("sent", counted.sent),
        ("received", counted.received),
        ("waiting", waiting as u64),
        ("busy", read(&account.busy)),
        ("refused", read(&account.refused)),
        ("failed", read(&account.failed)),
        ("late", read(&account.late)),
    ])
}

impl Service {
    /// The counters of each application that there was, by its name and theirs; those of no application are under no name.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, BTreeMap<&'static str, u64>> {
        let waiting = self.waiting();
        let read = |account: Arc<Account>| {
            let name = account.name.to_string();
            let counters = counters(&account, waiting.get(&name).copied().unwrap_or_default());
            (name, counters)
        };
        self.statistics.accounts().into_iter().map(read).collect()
    }

    /// How many requests wait, by application; under no name those that wait for a place of the whole server.
    fn waiting(&self) -> BTreeMap<String, usize> {
        let table = self.table.load();
        let each = table.applications().iter();
        let each = each.map(|application| (application.settings().name.clone(), application.waiting()));
        each.chain([(String::new(), self.admission.waiting())]).collect()
    }

    /// Connections that were accepted, and those of them that are open.
    fn connections(&self) -> (u64, u64) {
        let closed = self.statistics.closed.load(Ordering::Relaxed);
        let accepted = self.statistics.connections.load(Ordering::Relaxed);
        (accepted, accepted.saturating_sub(closed))
    }

    fn write_waiting(&self, text: &mut Text) {
        let name = "wherry_requests_waiting";
        text.family(
            name,
            "gauge",
            "Requests that wait for a place; under no name, for one of the whole server.",
        );
        for (application, waiting) in self.waiting() {
            text.sample(name, &[("application", &application)], waiting);
        }
    }

    fn write_connections(&self, text: &mut Text) {
        let (accepted, open) = self.connections();
        let malformed = self.statistics.malformed.load(Ordering::Relaxed);
        for (name, kind, help, value) in [
            (
                "wherry_connections_total",
                "counter",
                "Connections that were accepted.",
                accepted,
            ),
            (
                "wherry_connections_open",
                "gauge",
                "Connections that are open.",
                open,
            ),
            (
                "wherry_connections_malformed_total",
                "counter",
                "Connections that ended with something that is no request.",
                malformed,
            ),
        ] {
            text.single(name, kind, help, value);
        }
    }
}

/// Why something went wrong, and the counter of that.
type Reason = (&'static str, fn(&Account) -> &AtomicU64);

/// Requests that were turned away, and guests that failed.
fn write_wrong(text: &mut Text, accounts: &[Arc<Account>]) {
    let families: [(&str, &str, [Reason; 2]); 2] = [
        (
            "wherry_requests_refused_total",
            "Requests that were turned away: as too many came, or as they were malformed or too large.",
            [
                ("busy", |account| &account.busy),
                ("invalid", |account| &account.refused),
            ],
        ),
        (
            "wherry_guest_failures_total",
            "Guests that trapped or gave no answer, or were not done in time.",
            [
                ("failed", |account| &account.failed),
                ("late", |account| &account.late),
            ],
        ),
    ];
    for (name, help, reasons) in families {
        text.family(name, "counter", help);
        for account in accounts {
            for (reason, read) in reasons {
                let labels = [("application", &*account.name), ("reason", reason)];
                text.sample(name, &labels, read(account).load(Ordering::Relaxed));
            }
        }
    }
}
