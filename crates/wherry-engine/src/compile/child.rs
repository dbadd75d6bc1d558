//! The parent's side of compiling in a child process.
//!
//! Everything goes through pipes, so whichever process is killed, and how ever, no file is left behind. The child is
//! always waited for, and on Linux it dies with the thread that started it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use super::worker::{Answer, Order, Request};
use super::{Compiled, CompilerChild, Job, Patience, wait};
use crate::environment::outlive_closed_pipes;
use crate::error::{Error, Kind, Result};
use crate::limits::{in_bytes, typed_size};

/// How much of what the child said on its standard error is kept for a message.
const LAST_WORDS: usize = 2048;

/// What a process says that was refused memory: Rust, the engine, Python, the system, and all of them when a thread gets no stack.
const OUT_OF_MEMORY: &[&str] = &[
    "no threads to compile with",
    "error while loading shared libraries",
    "memory allocation",
    "MemoryError",
    "Cannot allocate memory",
    "out of memory",
];

/// What is advised where it is more.
const USUAL_MORE: u64 = 16 << 30;

/// How many bytes an image may have, and how many more for each byte of its source: this process has to hold it, and
/// tool-chains make nothing that comes near.
const IMAGE: u64 = 64 << 20;
const IMAGE_SHARE: u64 = 64;

/// Kills and waits for the child, however the parent leaves.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compiles `job` by `program`.
///
/// # Errors
/// As [`super::compile`].
pub(super) fn compile(job: &Job, program: &CompilerChild, patience: &Patience<'_>) -> Result<Compiled> {
    let request = Request::Compile(Order::new(job));
    let most = IMAGE.saturating_add(IMAGE_SHARE.saturating_mul(job.bytes.len() as u64));
    ask(&request, &job.bytes, (job.code, most), program, patience)
}

/// The binary form of `text`, by `program`.
///
/// # Errors
/// As [`super::convert`].
pub(super) fn convert(
    text: &[u8],
    name: &str,
    most: u64,
    program: &CompilerChild,
    patience: &Patience<'_>,
) -> Result<Vec<u8>> {
    let request = Request::Convert(name.to_owned());
    ask(&request, text, (text.len() as u64, most), program, patience).map(|converted| converted.image)
}

/// Asks `program`, for whose progress `code` bytes are shown, and whose answer may have `most`.
fn ask(
    request: &Request,
    bytes: &[u8],
    (code, most): (u64, u64),
    program: &CompilerChild,
    patience: &Patience<'_>,
) -> Result<Compiled> {
    let mut child = Guard(start(program, patience.child_memory)?);
    let missing = || Error::new(Kind::Internal, "the compiler's process has no pipes");
    let input = child.0.stdin.take().ok_or_else(missing)?;
    let output = child.0.stdout.take().ok_or_else(missing)?;
    let errors = child.0.stderr.take().ok_or_else(missing)?;
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        scope.spawn(move || send(request, bytes, input));
        let last_words = scope.spawn(move || listen(errors));
        scope.spawn(move || {
            let _ = sender.send(receive(output, most));
        });
        let answered = wait(&receiver, code, patience);
        if !matches!(answered, Ok(Some(Ok(_)))) {
            // The threads end when the child's ends of the pipes are closed.
            let _ = child.0.kill();
        }
        let status = child.0.wait();
        match answered? {
            Some(Err(error)) if is_out_of_memory(error.message()) => {
                Err(patience.child_memory.map_or(error, out_of_memory))
            }
            Some(answer) => answer,
            None => Err(died(
                status.ok(),
                &last_words.join().unwrap_or_default(),
                patience.child_memory,
            )),
        }
    })
}

fn start(program: &CompilerChild, memory: Option<u64>) -> Result<Child> {
    let mut command = Command::new(&program.program);
    command
        .args(&program.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Out of memory, a backtrace needs memory too, and waits for a lock that the failed allocation holds.
    command.env("RUST_BACKTRACE", "0");
    bound(&mut command, memory);
    command.spawn().map_err(|error| {
        let why = Error::io(program.program.display(), &error);
        Error::new(
            Kind::Internal,
            format!("the compiler's process did not start: {}", why.message()),
        )
    })
}

/// Has the child bound its own memory and die with its parent.
#[cfg(target_os = "linux")]
fn bound(command: &mut Command, memory: Option<u64>) {
    use std::os::unix::process::CommandExt;
    let setup = move || {
        // SAFETY: plain system calls with constants and a pointer to a local, all allowed between fork and exec.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if let Some(bytes) = memory {
                // What is really written counts, not the address space that threads and allocators reserve.
                let limit = libc::rlimit {
                    rlim_cur: bytes,
                    rlim_max: bytes,
                };
                if libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
        }
        Ok(())
    };
    // SAFETY: `setup` makes system calls only: no allocation, no lock.
    unsafe { command.pre_exec(setup) };
}

/// Elsewhere no limit on memory is known that counts what is used.
#[cfg(not(target_os = "linux"))]
fn bound(_command: &mut Command, _memory: Option<u64>) {}

/// Sends the request and the binary. A child that died early closes the pipe; its answer says why.
fn send(request: &Request, bytes: &[u8], mut input: ChildStdin) {
    outlive_closed_pipes();
    let Ok(mut line) = serde_json::to_vec(request) else {
        return;
    };
    line.push(b'\n');
    if input.write_all(&line).is_ok() {
        let _ = input.write_all(bytes);
    }
}

/// The image or the child's own error, or `None` when it died before it could answer. An image of over `most` bytes is refused.
fn receive(output: ChildStdout, most: u64) -> Option<Result<Compiled>> {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line).ok()?;
    match serde_json::from_str(&line).ok()? {
        Answer::Error(kind, message, hint) => Some(Err(Answer::into_error(&kind, message, hint))),
        Answer::Image(length, ..) if length > most => Some(Err(too_large(length, most))),
        Answer::Image(length, nesting, grows_tables) => {
            let mut image = Vec::new();
            image.try_reserve_exact(usize::try_from(length).ok()?).ok()?;
            output.read_to_end(&mut image).ok()?;
            (image.len() as u64 == length).then_some(Ok(Compiled {
                image,
                nesting,
                grows_tables,
            }))
        }
    }
}

/// The refusal of an image that this process does not take in.
fn too_large(length: u64, most: u64) -> Error {
    let message =
        format!("too large to compile: {length} bytes would come of it, the bound for this file is {most}");
    Error::new(Kind::TooLarge, message)
        .with_hint("no tool-chain makes a program like this: the file is damaged, or made to do harm")
}

fn is_out_of_memory(words: &str) -> bool {
    OUT_OF_MEMORY.iter().any(|known| words.contains(known))
}

/// The error for what needs more memory than `limit`.
fn out_of_memory(limit: u64) -> Error {
    let message = format!(
        "compiling needs more than the {} of memory that it may use",
        in_bytes(limit)
    );
    Error::new(Kind::TooLarge, message).with_hint(more_memory(limit.saturating_mul(2)))
}

/// How compiling gets more memory than `bytes`.
fn more_memory(bytes: u64) -> String {
    let flag = typed_size(bytes.max(USUAL_MORE).next_multiple_of(1 << 30));
    format!(
        "give it more with `--compile-memory {flag}` if you trust this file, in Python with `Limits(compile_memory=\"{flag}\")`"
    )
}

/// Reads all that the child says on its standard error, and keeps the end of it.
fn listen(mut errors: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = errors.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..length]);
        let excess = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// The error for a child that ended without an answer.
fn died(status: Option<ExitStatus>, last_words: &str, memory: Option<u64>) -> Error {
    // A failed allocation ends the process; so does the system's own guard against using up all memory.
    match memory {
        Some(bytes) if is_out_of_memory(last_words) => out_of_memory(bytes),
        _ => {
            let how = status.map_or_else(|| "in an unknown way".into(), |status| status.to_string());
            let words = if last_words.is_empty() {
                String::new()
            } else {
                format!(": {last_words}")
            };
            Error::new(
                Kind::Compile,
                format!("the compiler's process ended without a result ({how}){words}"),
            )
            .with_hint("it may have run out of memory: compiling needs about 50 times the size of the code")
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::tests::{job, patient};
    use super::*;
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    fn shell(script: &str) -> CompilerChild {
        CompilerChild {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
        }
    }

    fn ask(script: &str, patience: &Patience<'_>) -> Result<Compiled> {
        super::super::compile(
            &job("(module)"),
            &Patience {
                child: Some(&shell(script)),
                ..patience.clone()
            },
        )
    }

    #[test]
    fn the_answer_of_the_child_is_the_result() {
        let script = "cat >/dev/null; echo '{\"Image\":[5,3,false]}'; printf hello";
        let compiled = ask(script, &patient()).expect("an image");
        assert_eq!((&*compiled.image, compiled.nesting), (&b"hello"[..], 3));
        let script = "cat >/dev/null; echo '{\"Error\":[\"Compile\",\"no\",\"hint\"]}'";
        let error = ask(script, &patient()).expect_err("an error");
        assert_eq!(
            (error.kind(), error.message(), error.hint()),
            (Kind::Compile, "no", Some("hint"))
        );
    }

    #[test]
    fn a_child_that_dies_or_lies_is_an_error() {
        for script in [
            "exit 3",
            "kill -9 $$",
            "echo '{\"Image\":[50,0,false]}'; printf hello",
            "echo hello",
            "echo '{\"Image\":[-1,0,false]}'",
        ] {
            assert_eq!(
                ask(script, &patient()).err().map(|error| error.kind()),
                Some(Kind::Compile),
                "{script}"
            );
        }
        let error = ask("echo why >&2; exit 3", &patient()).expect_err("an error");
        assert!(error.message().contains("why"), "{error}");
    }

    #[test]
    fn a_child_without_memory_is_too_large() {
        let patience = Patience {
            child_memory: Some(256 << 20),
            ..patient()
        };
        let error = ask(
            "echo 'memory allocation of 5 bytes failed' >&2; kill -6 $$",
            &patience,
        );
        assert_eq!(error.err().map(|error| error.kind()), Some(Kind::TooLarge));
    }

    #[test]
    fn ctrl_c_and_the_deadline_kill_it_and_leave_no_zombie() {
        let begin = Instant::now();
        let asked = Cell::new(0);
        let interrupted = || {
            asked.set(asked.get() + 1);
            asked.get() > 2
        };
        let error = ask(
            "exec sleep 1000",
            &Patience {
                interrupted: &interrupted,
                ..patient()
            },
        );
        assert_eq!(error.err().map(|error| error.kind()), Some(Kind::Interrupted));
        let deadline = Some(Instant::now() + Duration::from_millis(50));
        let error = ask(
            "exec sleep 1000",
            &Patience {
                deadline,
                ..patient()
            },
        );
        assert_eq!(error.err().map(|error| error.kind()), Some(Kind::Time));
        assert!(begin.elapsed() < Duration::from_secs(500));
    }

    #[test]
    fn a_closed_pipe_does_not_end_this_process() {
        // More than a pipe holds, so that writing goes on after the child is gone.
        let job = Job {
            bytes: vec![0; 1 << 20].into(),
            ..job("(module)")
        };
        // SAFETY: sets the disposition that `wherry run` sets.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let error = super::super::compile(
            &job,
            &Patience {
                child: Some(&shell("exit 3")),
                ..patient()
            },
        );
        assert_eq!(error.err().map(|error| error.kind()), Some(Kind::Compile));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let child = CompilerChild {
            program: "/nonexistent/python".into(),
            args: Vec::new(),
        };
        let error = super::super::compile(
            &job("(module)"),
            &Patience {
                child: Some(&child),
                ..patient()
            },
        );
        assert_eq!(error.err().map(|error| error.kind()), Some(Kind::Internal));
    }
}
