//! The flags of every command that runs guests: one table, [`FLAGS`].
//!
//! `wherry run` reads its command line by it without loading anything else; the command-line library gets its
//! options from it, for help and for completion; `wherry config explain` walks it. A setting that is to have
//! a flag, a variable `WHERRY_*` or a key in a settings file gets its row in the file of its group below this one,
//! and nowhere else. The value is read by the function in the row, which lives beside what it sets:
//! [`limits`](crate::limits), [`policy`](crate::policy) or [`options`](crate::options).

mod cache;
mod grants;
mod limits;
mod output;
mod running;

use crate::Result;
use crate::environment::Environment;
use crate::options::Invocation;

/// Under which heading help shows a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What the guest may reach.
    Grants,
    /// What the guest may use up.
    Limits,
    /// What is run, and how.
    Running,
    /// Where compiled code is kept.
    Cache,
    /// What is printed.
    Output,
}

impl Group {
    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Group::Grants => "Grants (nothing is granted by default)",
            Group::Limits => "Limits",
            Group::Running => "Running",
            Group::Cache => "Cache",
            Group::Output => "Output",
        }
    }
}

/// Where, beside its flag, a setting may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nowhere: what is granted, loaded or written is said anew for each run.
    CommandLine,
    /// A variable or the user's own file, and not the project's file, which may come from a stranger.
    User,
    /// A variable, the user's file and the project's.
    Project,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The long name without dashes; also the key in settings files.
    pub name: &'static str,
    /// The one-letter form.
    pub short: Option<char>,
    /// The form of the value as help shows it; `None` for a switch.
    pub value: Option<&'static str>,
    /// The only values there are; empty when there are more.
    pub choices: &'static [&'static str],
    /// What it does, in one line without a full stop.
    pub help: &'static str,
    /// The environment variable.
    pub variable: Option<&'static str>,
    /// What holds in a terminal when nothing is said.
    pub default: Option<&'static str>,
    /// The heading in help.
    pub group: Group,
    /// May be given several times, and then adds up.
    pub repeatable: bool,
    /// Where else it may come from.
    pub reach: Reach,
    /// Reads a value and sets it; switches are given `true` or `false`.
    pub set: fn(&mut Invocation, &str, &Environment) -> Result<()>,
}

impl Flag {
    /// As much of a value as a message may show: of a secret nothing, of what has a name no more than that.
    #[must_use]
    pub fn shown<'a>(&self, text: &'a str) -> &'a str {
        match self.name {
            "secret" => "",
            "env" | "config" => text.find('=').map_or(text, |end| &text[..=end]),
            _ => text,
        }
    }

    /// Takes no value.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.value.is_none()
    }
}

/// The flag of a long name without dashes.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// The flag of a one-letter form.
#[must_use]
pub fn by_short(short: char) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.short == Some(short))
}

/// What rows are alike in; each row of [`FLAGS`] says how it differs.
const ROW: Flag = Flag {
    name: "",
    short: None,
    value: None,
    choices: &[],
    help: "",
    variable: None,
    default: None,
    group: Group::Running,
    repeatable: false,
    reach: Reach::CommandLine,
    set: |_, _, _| Ok(()),
};

/// The rows of each group, in the order of help.
const GROUPS: [&[Flag]; 5] = [
    grants::FLAGS,
    limits::FLAGS,
    running::FLAGS,
    cache::FLAGS,
    output::FLAGS,
];

const COUNT: usize = {
    let (mut group, mut count) = (0, 0);
    while group < GROUPS.len() {
        count += GROUPS[group].len();
        group += 1;
    }
    count
};

static TABLE: [Flag; COUNT] = {
    let mut table = [ROW; COUNT];
    let (mut group, mut row, mut at) = (0, 0, 0);
    while at < COUNT {
        if row == GROUPS[group].len() {
            (group, row) = (group + 1, 0);
        } else {
            table[at] = GROUPS[group][row];
            (row, at) = (row + 1, at + 1);
        }
    }
    table
};

/// Every flag, in the order of help.
pub static FLAGS: &[Flag] = &TABLE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_variables_follow_them() {
        for (index, flag) in FLAGS.iter().enumerate() {
            for other in &FLAGS[..index] {
                assert_ne!(flag.name, other.name);
                assert!(flag.short.is_none() || flag.short != other.short, "{}", flag.name);
            }
            let variable = format!("WHERRY_{}", flag.name.to_uppercase().replace('-', "_"));
            assert!(
                flag.variable.is_none_or(|found| found == variable),
                "{}",
                flag.name
            );
        }
    }

    #[test]
    fn grants_and_what_is_written_or_trusted_come_from_the_command_line_alone() {
        for flag in FLAGS {
            let settable =
                matches!(flag.group, Group::Limits | Group::Cache | Group::Output) && flag.name != "help";
            assert_eq!(flag.reach > Reach::CommandLine, settable, "{}", flag.name);
            assert_eq!(flag.variable.is_some(), settable, "{}", flag.name);
        }
    }

    #[test]
    fn stated_defaults_are_the_defaults() {
        let environment = Environment::default();
        for flag in FLAGS {
            let mut run = Invocation::default();
            if let Some(default) = flag.default {
                (flag.set)(&mut run, default, &environment).unwrap();
            }
            // To say what holds anyway is to say it.
            (run.policy.clock, run.policy.random, run.options.unmetered) = (None, None, false);
            assert_eq!(run, Invocation::default(), "{}", flag.name);
        }
    }

    #[test]
    fn limits_in_help_are_the_terminal_s() {
        assert_eq!(Invocation::default().limits, crate::limits::Limits::terminal());
    }
}
