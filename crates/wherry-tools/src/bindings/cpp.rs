//! What the generator of C++ gets wrong, put right in what it wrote, line by line.
//!
//! It writes lists over the vector that they come from, whose elements have another layout; keeps the memory of
//! lists that it has read; destroys payloads before the call that they are for; takes handles that are lent for
//! addresses; forgets handles that come back; and returns references to what is gone.
//! <https://github.com/bytecodealliance/wit-bindgen/issues/1592> and 1682 to 1684 are about some of it.

use std::fmt::Write as _;

use crate::error::{Error, Result};

const OWNER: &str = "std::vector<std::unique_ptr<void, void (*)(void *)>> _lowered;";
const INCLUDES: &str = "#include <cstdlib>\n#include <memory>\n#include <vector>\n";
const BASE: &str = "wit::ResourceImportBase";

/// A header, in which functions give resources away as values.
pub(super) fn header(text: &str) -> String {
    let line = |line: &str| match line.split_once('(') {
        Some((head, rest)) if head.contains("&& ") => format!("{}({rest}\n", head.replacen("&& ", " ", 1)),
        _ => format!("{line}\n"),
    };
    // A vector that is given other elements destroys those that it had.
    let freed = "if (data_ && length>0) {\n      free(data_);";
    let destroyed = "if (data_ && length>0) {\n      for (size_t i=0;i<length;++i) { data_[i].~T(); }\n      free(data_);";
    text.lines()
        .map(line)
        .collect::<String>()
        .replacen(freed, destroyed, 1)
}

/// The source that calls, and is called by, what the user wrote.
///
/// # Errors
/// [`Error::Interface`] for lists of resources that are lent, for which there is no form.
pub(super) fn source(text: &str) -> Result<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (mut at, mut function, mut owned) = (0, 0, None);
    while at < lines.len() {
        if lines[at] == "{" {
            function = at;
        }
        if let Some(kept) = lowered(&mut lines, at)
            && kept
            && owned != Some(function)
        {
            owned = Some(function);
            lines[function].push_str(OWNER);
        }
        lifted(&mut lines, at);
        payload(&mut lines[at]);
        handle(&mut lines[at]);
        lent(&mut lines[at], at)?;
        at += 1;
    }
    Ok(format!("{INCLUDES}{}\n", lines.join("\n")))
}

/// Gives a list memory of its own to be written to; whether that has to be freed at the end of the function.
fn lowered(lines: &mut [String], at: usize) -> Option<bool> {
    let (number, list) = lines[at]
        .trim()
        .strip_prefix("auto&& _vec")?
        .strip_suffix(';')?
        .split_once(" = ")?;
    let (number, list) = (number.to_owned(), list.to_owned());
    let base = format!("auto _base = _ptr{number} + i * ");
    let size = lines
        .get(at + 4)?
        .trim()
        .strip_prefix(&base)?
        .strip_suffix(';')?
        .to_owned();
    let end = end_of_block(lines, at + 3)?;
    let given = lines.get(end + 1)?.trim() == format!("{list}.leak();");
    let memory = format!("std::malloc(_vec{number}.size() * {size})");
    lines[at + 1] = if given {
        lines[end + 1].clear();
        format!("auto _ptr{number} = (uint8_t*){memory};")
    } else {
        format!("auto _ptr{number} = (uint8_t*)_lowered.emplace_back({memory}, std::free).get();")
    };
    Some(!given)
}

/// Frees the memory of a list once its elements were read.
fn lifted(lines: &mut [String], at: usize) -> Option<()> {
    let (number, made) = lines[at].trim().strip_prefix("auto _result")?.split_once(" = ")?;
    if !made.starts_with("wit::vector<") || !made.contains(&format!(">::allocate(_len{number});")) {
        return None;
    }
    let free = format!(" if (_len{number} > 0) std::free((void*) _base{number});");
    let start = (at + 1..lines.len()).find(|&line| !lines[line].trim().is_empty())?;
    let end = end_of_block(lines, start)?;
    lines[end].push_str(&free);
    Some(())
}

/// Where the block ends that begins in a line.
fn end_of_block(lines: &[String], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, line) in lines.iter().enumerate().skip(start) {
        depth += line.matches('{').count();
        depth = depth.checked_sub(line.matches('}').count())?;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Makes a payload a reference, which stays as long as what it is of.
fn payload(line: &mut String) -> Option<()> {
    let (left, right) = line.split_once(" = ")?;
    let (_, name) = left.trim().rsplit_once(' ')?;
    let moved = right
        .strip_prefix("(std::move(")
        .map(|rest| rest.replacen(")).", ").", 1))
        .or_else(|| right.strip_prefix("std::move(").map(str::to_owned))?;
    if !name.starts_with("payload") || !(moved.ends_with(").value();") || moved.ends_with(").error();")) {
        return None;
    }
    *line = format!("auto&& {name} = ({moved}");
    Some(())
}

/// Tells a resource of ours under which handle it has come back.
fn handle(line: &mut String) -> Option<()> {
    let (left, right) = line.split_once(" = ")?;
    let name = left.trim().strip_prefix("auto ")?.to_owned();
    let (_, handle) = right.split_once("::Owned(")?.1.split_once("::ResourceRep(")?;
    let handle = handle.strip_suffix("));")?.to_owned();
    write!(line, " {name}->handle = {handle};").ok()
}

/// Makes objects of handles that are lent; their destructors give them back.
fn lent(line: &mut String, at: usize) -> Result<()> {
    let mut objects = Vec::new();
    let mut place = 0;
    while let Some(found) = line[place..].find("std::ref(*(") {
        let start = place + found;
        place = start + "std::ref(*(".len();
        let Some((class, rest)) = line[place..].split_once(" *)") else {
            continue;
        };
        let Some((handle, _)) = rest.split_once(')') else {
            continue;
        };
        if class.trim_start_matches(':').starts_with("exports::") {
            continue;
        }
        if line.trim().starts_with("auto _e") {
            return Err(Error::Interface("lists of resources that are lent".to_owned()));
        }
        let name = format!("_lent{at}_{start}");
        objects.push(format!("auto {name} = {class}({BASE}{{{handle}}}); "));
        let end = place + class.len() + " *)".len() + handle.len() + ")".len();
        line.replace_range(start..end, &format!("std::ref({name})"));
        place = start;
    }
    line.insert_str(0, &objects.concat());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{header, lent, payload, source};

    #[test]
    fn lists_have_memory_of_their_own_and_what_was_read_is_freed() {
        let text = "\
void f()
{
  auto _result1 = wit::vector<T>::allocate(_len1);
  for (unsigned i=0; i<_len1; ++i) {
    read();
  }
  auto&& _vec2 = given;
  auto _ptr2 = (uint8_t*)(_vec2.data());
  auto _len2 = (size_t)(_vec2.size());
  for (size_t i = 0; i < _len2; ++i) {
    auto _base = _ptr2 + i * 24;
  }
  given.leak();
  auto&& _vec3 = used;
  auto _ptr3 = (uint8_t*)(_vec3.data());
  auto _len3 = (size_t)(_vec3.size());
  for (size_t i = 0; i < _len3; ++i) {
    auto _base = _ptr3 + i * 8;
  }
}";
        let made = source(text).expect("a source");
        assert!(made.contains("  } if (_len1 > 0) std::free((void*) _base1);\n"));
        assert!(made.contains("auto _ptr2 = (uint8_t*)std::malloc(_vec2.size() * 24);\n"));
        assert!(!made.contains("leak"));
        assert!(made.contains("{std::vector<"));
        assert!(made.contains("_lowered.emplace_back(std::malloc(_vec3.size() * 8), std::free).get();\n"));
    }

    #[test]
    fn payloads_stay_and_handles_are_no_addresses() {
        let mut line = "  wit::string payload3 = (std::move((x).label)).value();".to_owned();
        payload(&mut line).expect("a payload");
        assert_eq!(line, "auto&& payload3 = ((x).label).value();");
        let mut line = "auto r = f(std::ref(*(a::Log *)arg0), std::ref(*(exports::C *)arg1));".to_owned();
        lent(&mut line, 7).expect("a form");
        let made = "auto _lent7_11 = a::Log(wit::ResourceImportBase{arg0}); \
                    auto r = f(std::ref(_lent7_11), std::ref(*(exports::C *)arg1));";
        assert_eq!(line, made);
        assert!(lent(&mut "auto _e1 = std::ref(*(a::Log *)l0);".to_owned(), 1).is_err());
        assert_eq!(
            header("  ::a::Log&& F(::a::Log&& l);\n"),
            "  ::a::Log F(::a::Log&& l);\n"
        );
    }
}
