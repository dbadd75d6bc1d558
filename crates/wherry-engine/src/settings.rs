//! Where settings come from: flag, then variable `WHERRY_*`, then the project's file, then the user's file.
//!
//! The user's file is `config.toml` in `~/.config/wherry` (the base directory of XDG); the project's is
//! `.wherry.toml` in the current folder. Keys are the names of the flags:
//!
//! ```toml
//! memory = "1GiB"
//! max-handles = 64
//! ```
//!
//! A project's file comes along with whatever someone cloned, so it may set limits and how things are printed,
//! and nothing else; no file and no variable grants anything. Start reading at [`parse_run`]; [`explain`] tells
//! people what would hold and why.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::arguments::{self, Arguments};
use crate::determinism;
use crate::environment::Environment;
use crate::flags::{self, FLAGS, Flag, Group, Reach};
use crate::nearest::nearest;
use crate::options::{self, Invocation};
use crate::toml_file::{self, Sort};
use crate::{Error, Kind, Result};

/// How messages call it.
const SORT: Sort = Sort {
    name: "a settings file",
    example: "memory = \"1GiB\"",
};

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This environment variable.
    Variable(&'static str),
    /// This line of the project's file.
    Project(PathBuf, usize),
    /// This line of the user's file.
    User(PathBuf, usize),
    /// Nothing was said.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Variable(name) => write!(f, "variable {name}"),
            Origin::Project(path, line) => write!(f, "project file {} line {line}", path.display()),
            Origin::User(path, line) => write!(f, "user file {} line {line}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// One setting, its value as it was written, and who wrote it.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The row of the table.
    pub flag: &'static Flag,
    /// The value; `None` when nothing was said and the default is not one value.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// Reads the words after `wherry run`: what to run, what it is granted, what it may use up.
///
/// # Errors
/// [`Kind::Usage`] for a command line, variable or file that makes no sense or cannot be read,
/// [`Kind::Grant`] for a grant of something that does not exist, [`Kind::NotFound`] when FILE is no path.
pub fn parse_run(words: &[OsString], environment: &Environment) -> Result<Invocation> {
    let Arguments { flags, rest } = arguments::divide(words)?;
    let mut run = Invocation::default();
    for setting in said(environment)? {
        if !flags.iter().any(|(flag, _)| flag.name == setting.flag.name) {
            apply(&mut run, &setting, environment)?;
        }
    }
    // A policy comes first, wherever it stands: what is said beside it adds to it, or overrides it.
    let (policies, others): (Vec<_>, Vec<_>) = flags.into_iter().partition(|(flag, _)| flag.name == "policy");
    for (flag, text) in policies.into_iter().next_back().into_iter().chain(others) {
        (flag.set)(&mut run, &text, environment).map_err(|error| {
            let place = match flag.shown(&text) {
                "" if !text.is_empty() => format!("`--{}`", flag.name),
                "" => format!("`--{} ''`", flag.name),
                shown => format!("`--{} {shown}`", flag.name),
            };
            at(&place, &error)
        })?;
    }
    let (file, args) = rest.split_first().ok_or_else(|| {
        Error::new(Kind::Usage, "FILE is missing: there is nothing to run")
            .with_hint("`wherry run FILE [ARGS...]`, such as `wherry run ./hello.wasm`")
    })?;
    determinism::settle(&mut run)?;
    run.file = program_path(file, environment)?;
    run.args = guest_arguments(args)?;
    run.options.precompiled |= run.file.extension().is_some_and(|extension| extension == "cwasm");
    Ok(run)
}

/// What variables and files say, without a command line: for commands that do not run guests.
///
/// # Errors
/// [`Kind::Usage`] for a variable or file that makes no sense or cannot be read.
pub fn ambient(environment: &Environment) -> Result<Invocation> {
    let mut run = Invocation::default();
    for setting in said(environment)? {
        apply(&mut run, &setting, environment)?;
    }
    Ok(run)
}

/// Whether a variable or a file asks for traces of errors, even where other settings are wrong.
#[must_use]
pub fn debug_wanted(environment: &Environment) -> bool {
    let variable = environment.get("WHERRY_DEBUG").and_then(|value| value.to_str());
    match variable.filter(|text| !text.is_empty()) {
        Some(text) => options::switch(text).unwrap_or(true),
        None => ambient(environment).is_ok_and(|run| run.options.debug),
    }
}

/// Every setting that need not be a flag, in the order of the table: its value, and where it came from.
///
/// # Errors
/// As [`ambient`].
pub fn explain(environment: &Environment) -> Result<Vec<Setting>> {
    let run = ambient(environment)?;
    let said = said(environment)?;
    let settable = FLAGS.iter().filter(|flag| flag.reach > Reach::CommandLine);
    let explained = settable.map(
        |flag| match said.iter().find(|setting| setting.flag.name == flag.name) {
            Some(setting) => setting.clone(),
            None => Setting {
                flag,
                value: flag.default.map(str::to_owned),
                origin: Origin::Default,
            },
        },
    );
    let mut explained: Vec<_> = explained.collect();
    // The one default that depends on where one is.
    if let Some(setting) = explained
        .iter_mut()
        .find(|setting| setting.flag.name == "cache-dir")
    {
        setting.value = run
            .cache
            .folder(environment)
            .map(|path| path.display().to_string());
    }
    Ok(explained)
}

/// What variables and files say, each flag once: a variable before the project's file before the user's.
fn said(environment: &Environment) -> Result<Vec<Setting>> {
    let mut said = variables(environment)?;
    let project = read_file(&environment.project_file(), Reach::Project, Origin::Project)?;
    let user = match environment.user_file() {
        Some(path) => read_file(&path, Reach::User, Origin::User)?,
        None => Vec::new(),
    };
    for setting in project.into_iter().chain(user) {
        if !said.iter().any(|other| other.flag.name == setting.flag.name) {
            said.push(setting);
        }
    }
    Ok(said)
}

/// Sets what a variable or a file says.
fn apply(run: &mut Invocation, setting: &Setting, environment: &Environment) -> Result<()> {
    let Some(text) = &setting.value else { return Ok(()) };
    (setting.flag.set)(run, text, environment).map_err(|error| {
        let name = setting.flag.name;
        let place = match &setting.origin {
            Origin::Variable(variable) => format!("`{variable}={text}`"),
            Origin::Project(path, line) | Origin::User(path, line) => {
                format!("`{}` line {line}, `{name} = {text}`", path.display())
            }
            Origin::Default => format!("`{name}`"),
        };
        at(&place, &error)
    })
}

/// What the environment's variables say.
fn variables(environment: &Environment) -> Result<Vec<Setting>> {
    let mut said = Vec::new();
    for flag in FLAGS {
        let Some(variable) = flag.variable else { continue };
        let Some(value) = environment.get(variable) else {
            continue;
        };
        let text = value.to_str().ok_or_else(|| {
            Error::new(Kind::Usage, format!("`{variable}`: not UTF-8")).with_hint("set it anew, or unset it")
        })?;
        // An empty variable is how a shell spells an unset one.
        if !text.is_empty() {
            said.push(Setting {
                flag,
                value: Some(text.to_owned()),
                origin: Origin::Variable(variable),
            });
        }
    }
    Ok(said)
}

/// What a settings file says; nothing when there is none.
fn read_file(path: &Path, reach: Reach, origin: fn(PathBuf, usize) -> Origin) -> Result<Vec<Setting>> {
    let text = toml_file::read(path, &SORT).map_err(|error| match error.kind() {
        Kind::Usage => error,
        _ => Error::new(
            Kind::Usage,
            format!("settings cannot be read: {}", error.message()),
        )
        .with_hint("move it out of the way, or make it a file that you may read"),
    })?;
    let place = format!("`{}`", path.display());
    let mut said = Vec::new();
    toml_file::keys(&text.unwrap_or_default(), &place, &SORT, |key, value, found| {
        let place = format!("{place} line {}", found.line);
        let flag = settable(key, reach).map_err(|error| at(&place, &error))?;
        let value = toml_file::written(flag, value).map_err(|error| at(&place, &error))?;
        said.push(Setting {
            flag,
            value: Some(value),
            origin: origin(path.to_owned(), found.line),
        });
        Ok(())
    })?;
    Ok(said)
}

/// The flag of a key, if a file of this reach may set it.
fn settable(key: &str, reach: Reach) -> Result<&'static Flag> {
    let Some(flag) = flags::by_name(key).filter(|flag| flag.name != "help") else {
        let settable = FLAGS
            .iter()
            .filter(|flag| flag.reach >= reach)
            .map(|flag| flag.name);
        let hint = match nearest(key, settable) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`wherry config explain` lists the settings".to_owned(),
        };
        return Err(Error::new(
            Kind::Usage,
            format!("there is no setting `{}`", key.escape_debug()),
        )
        .with_hint(hint));
    };
    let name = flag.name;
    let refused = |message: String, hint: String| Err(Error::new(Kind::Usage, message).with_hint(hint));
    match flag.reach {
        found if found >= reach => Ok(flag),
        Reach::CommandLine if flag.group == Group::Grants => refused(
            format!("`{name}` is a grant, and no file grants anything"),
            format!("grants are said for each run: `wherry run --{name} ...`"),
        ),
        Reach::CommandLine => refused(
            format!("`{name}` cannot be set in a file"),
            format!("it is said for each run: `wherry run --{name}`"),
        ),
        _ => refused(
            format!("a project's file cannot set `{name}`, as it may come from a stranger"),
            format!("set `{name}` in your own file (`wherry config explain` says where), or use `--{name}`"),
        ),
    }
}

/// FILE, if it reads as a path; a name without one of the marks of a path is a package.
fn program_path(file: &OsString, environment: &Environment) -> Result<PathBuf> {
    let path = PathBuf::from(file);
    if file.as_encoded_bytes().windows(3).any(|three| three == b"://") {
        let what = format!("`{}` is an address, and not on this machine", path.display());
        return Err(Error::new(Kind::NotFound, what).with_hint("download it first, such as by `curl -O`"));
    }
    let known = path
        .extension()
        .is_some_and(|found| ["wasm", "wat", "cwasm"].iter().any(|known| found == *known));
    let marked = file
        .as_encoded_bytes()
        .first()
        .is_some_and(|first| matches!(first, b'.' | b'/'));
    let windows = cfg!(windows) && (path.is_absolute() || file.as_encoded_bytes().starts_with(b"\\"));
    if known || marked || windows {
        return Ok(path);
    }
    let name = path.display();
    let error = Error::new(
        Kind::NotFound,
        format!("`{name}` is neither a path nor an installed package"),
    );
    let here = environment.folder().join(&path);
    Err(if here.is_file() {
        error.with_hint(format!("`./{name}` is the file in this folder"))
    } else if here.is_dir() {
        error.with_hint(format!("`./{name}` is the folder of that name"))
    } else {
        error.with_hint(
            "a path starts with `.` or `/`, or ends in `.wasm`, `.wat` or `.cwasm`; a package is `NAMESPACE/NAME`, \
             as `wherry list` has it",
        )
    })
}

/// The guest's arguments as WASI has them: text.
fn guest_arguments(words: &[OsString]) -> Result<Vec<String>> {
    let text = |(index, word): (usize, &OsString)| {
        word.to_str().map(str::to_owned).ok_or_else(|| {
            Error::new(
                Kind::Usage,
                format!(
                    "argument {} of the guest, `{}`, is not UTF-8",
                    index + 1,
                    word.display()
                ),
            )
            .with_hint(
                "WebAssembly programs take UTF-8: rename the file, or grant its folder and pass another name",
            )
        })
    };
    words.iter().enumerate().map(text).collect()
}

/// The same error with the place it happened at in front.
pub(crate) fn at(place: &str, error: &Error) -> Error {
    let moved = Error::new(error.kind(), format!("{place}: {}", error.message()));
    match error.hint() {
        Some(hint) => moved.with_hint(hint),
        None => moved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a project's file and a user's file in it.
    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new(project: &str, user: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(folder.path().join("config/wherry")).unwrap();
            std::fs::write(folder.path().join(".wherry.toml"), project).unwrap();
            std::fs::write(folder.path().join("config/wherry/config.toml"), user).unwrap();
            Self { folder }
        }

        fn environment(&self, variables: &[(&str, &str)]) -> Environment {
            let config = (
                OsString::from("XDG_CONFIG_HOME"),
                self.folder.path().join("config").into_os_string(),
            );
            let variables = variables
                .iter()
                .map(|(name, value)| (OsString::from(name), OsString::from(value)));
            Environment::new(variables.chain([config]).collect(), self.folder.path().to_owned())
        }

        fn run(&self, line: &str, variables: &[(&str, &str)]) -> Result<Invocation> {
            let words: Vec<_> = line.split_whitespace().map(OsString::from).collect();
            parse_run(&words, &self.environment(variables))
        }

        /// The message without the folder, whose name is random.
        fn refusal(&self, line: &str, variables: &[(&str, &str)]) -> String {
            let error = self.run(line, variables).unwrap_err();
            error
                .message()
                .replace(&format!("{}/", self.folder.path().display()), "")
        }
    }

    #[test]
    fn flag_before_variable_before_project_before_user() {
        let memory = [("WHERRY_MEMORY", "3k")];
        for (line, variables, project, user, expected) in [
            (
                "--memory 4k f.wasm",
                &memory[..],
                "memory = '2k'",
                "memory = '1k'",
                4,
            ),
            ("f.wasm", &memory[..], "memory = '2k'", "memory = '1k'", 3),
            ("f.wasm", &[], "memory = '2k'", "memory = '1k'", 2),
            ("f.wasm", &[], "", "memory = '1k'", 1),
            ("f.wasm", &[("WHERRY_MEMORY", "")], "", "", 512 << 10),
        ] {
            let run = Place::new(project, user).run(line, variables).unwrap();
            assert_eq!(run.limits.memory, expected << 10, "{line} {project} {user}");
        }
    }

    #[test]
    fn what_follows_file_is_the_guest_s() {
        let run = Place::new("", "")
            .run("-q ./tool.cwasm --memory 1 -- -q", &[])
            .unwrap();
        assert_eq!(run.file, Path::new("./tool.cwasm"));
        assert_eq!(run.args, ["--memory", "1", "--", "-q"]);
        assert!(run.options.quiet && run.options.precompiled);
        assert_eq!(run.limits, crate::limits::Limits::terminal());
    }

    #[test]
    fn no_file_grants_and_a_project_names_no_folder() {
        for (project, user, message) in [
            (
                "dir = '/'",
                "",
                "`.wherry.toml` line 1: `dir` is a grant, and no file grants anything",
            ),
            (
                "",
                "\nenv = 'A'",
                "`config/wherry/config.toml` line 2: `env` is a grant, and no file grants anything",
            ),
            (
                "precompiled = true",
                "",
                "`.wherry.toml` line 1: `precompiled` cannot be set in a file",
            ),
            (
                "cache-dir = '/tmp'",
                "",
                "`.wherry.toml` line 1: a project's file cannot set `cache-dir`, as it may come from a stranger",
            ),
        ] {
            assert_eq!(Place::new(project, user).refusal("f.wasm", &[]), message);
        }
        assert!(Place::new("", "cache-dir = '/tmp'").run("f.wasm", &[]).is_ok());
    }

    #[test]
    fn a_bad_value_is_told_with_its_place() {
        for (line, variable, project, message) in [
            (
                "--memory 1X f.wasm",
                "",
                "",
                "`--memory 1X`: `X` is not a unit of a size",
            ),
            ("f.wasm", "soon", "", "`WHERRY_TIMEOUT=soon`: not a duration"),
            (
                "f.wasm",
                "",
                "quiet = 3",
                "`.wherry.toml` line 1, `quiet = 3`: neither yes nor no",
            ),
            (
                "f.wasm",
                "",
                "fuel = 1.5",
                "`.wherry.toml` line 1: `fuel` cannot be of type float",
            ),
            (
                "f.wasm",
                "",
                "memroy = 1",
                "`.wherry.toml` line 1: there is no setting `memroy`",
            ),
            (
                "f.wasm",
                "",
                "\n[limits]",
                "`.wherry.toml` line 2: there is no setting `limits`",
            ),
            ("", "", "", "FILE is missing: there is nothing to run"),
            (
                "tool",
                "",
                "",
                "`tool` is neither a path nor an installed package",
            ),
        ] {
            let found = Place::new(project, "").refusal(line, &[("WHERRY_TIMEOUT", variable)]);
            assert_eq!(found, message);
        }
    }

    #[test]
    fn explaining_names_who_said_it() {
        let place = Place::new("fuel = 7", "quiet = true\nfuel = 8");
        let settings = explain(&place.environment(&[("WHERRY_STACK", "2MiB")])).unwrap();
        let told = |name: &str| {
            let setting = settings.iter().find(|setting| setting.flag.name == name).unwrap();
            (setting.value.clone().unwrap_or_default(), setting.origin.clone())
        };
        assert_eq!(
            told("stack"),
            ("2MiB".to_owned(), Origin::Variable("WHERRY_STACK"))
        );
        assert!(matches!(told("fuel"), (value, Origin::Project(_, 1)) if value == "7"));
        assert!(matches!(told("quiet"), (value, Origin::User(_, 1)) if value == "true"));
        assert_eq!(told("memory"), ("512MiB".to_owned(), Origin::Default));
        assert!(!settings.iter().any(|setting| setting.flag.name == "dir"));
    }
}
