//! What the process as a whole uses, under the names that Prometheus has for it everywhere.

use crate::observe::exposition::Text;

/// Writes what the system says of this process; nothing where it does not say it.
#[cfg(target_os = "linux")]
pub fn write(text: &mut Text) {
    use rustix::process::{Resource, getrlimit};
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
    if let Some(stat) = read("stat").as_deref().and_then(stat) {
        let page = rustix::param::page_size() as u64;
        #[expect(clippy::cast_precision_loss, reason = "seconds are told as a float")]
        let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        text.single(
            "process_cpu_seconds_total",
            "counter",
            "User and system time that the process has used, in seconds.",
            seconds(stat.ticks),
        );
        text.single(
            "process_virtual_memory_bytes",
            "gauge",
            "Virtual memory of the process.",
            stat.virtual_memory,
        );
        text.single(
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory of the process.",
            stat.resident_pages * page,
        );
        text.single(
            "process_threads",
            "gauge",
            "Threads of the process.",
            stat.threads,
        );
        let booted = read("../stat").as_deref().and_then(booted);
        if let Some(booted) = booted {
            text.single(
                "process_start_time_seconds",
                "gauge",
                "When the process started, in seconds since 1970.",
                booted + seconds(stat.started),
            );
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // Not the one that looks.
        text.single(
            "process_open_fds",
            "gauge",
            "Open file descriptors.",
            open.count().saturating_sub(1),
        );
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        text.single(
            "process_max_fds",
            "gauge",
            "The most file descriptors that may be open.",
            most,
        );
    }
}

/// Other systems do not say it in a file.
#[cfg(not(target_os = "linux"))]
pub fn write(_text: &mut Text) {}

/// Of `proc_pid_stat(5)`.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    ticks: u64,
    threads: u64,
    started: u64,
    virtual_memory: u64,
    resident_pages: u64,
}

#[cfg(target_os = "linux")]
fn stat(text: &str) -> Option<Stat> {
    // The name of the program is in parentheses, and may have any letters.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The first of them is the third of the page.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        ticks: field(14)? + field(15)?,
        threads: field(20)?,
        started: field(22)?,
        virtual_memory: field(23)?,
        resident_pages: field(24)?,
    })
}

#[cfg(target_os = "linux")]
fn booted(text: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .parse()
        .ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_any_name_is_read() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4 1 0 0 0 30 12 0 0 20 0 5 0 999 4096000 250 1 2 3";
        let expected = Stat {
            ticks: 42,
            threads: 5,
            started: 999,
            virtual_memory: 4_096_000,
            resident_pages: 250,
        };
        assert_eq!(stat(text), Some(expected));
        assert_eq!(booted("cpu 1\nbtime 1700000000\n"), Some(1.7e9));
    }

    #[test]
    fn this_process_is_read() {
        let mut text = Text::default();
        write(&mut text);
        let text = text.finish();
        for name in [
            "cpu_seconds_total",
            "resident_memory_bytes",
            "open_fds",
            "max_fds",
            "start_time_seconds",
        ] {
            assert!(text.contains(&format!("\nprocess_{name} ")), "{name}: {text}");
        }
    }
}
