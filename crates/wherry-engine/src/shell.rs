//! Words as a shell reads them, for commands that people paste.
//!
//! What is quoted here may come from a guest: nothing in it is expanded, and no control character reaches the terminal.

use std::fmt::Write as _;

/// Characters that no shell takes for anything but themselves, after the first.
fn plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-./:,@%+=".contains(character)
}

/// One word, in quotes where it needs them.
#[must_use]
pub fn quoted(word: &str) -> String {
    // One shell takes `=name` for the path of a program.
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(plain) {
        return word.to_owned();
    }
    if word.chars().any(hidden) {
        return escaped(word);
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A flag with its value, as it is typed.
#[must_use]
pub fn flag(name: &str, value: Option<&str>) -> String {
    match value {
        None => format!("--{name}"),
        Some(value) if value.starts_with('-') => format!("--{name}={}", quoted(value)),
        Some(value) => format!("--{name} {}", quoted(value)),
    }
}

/// Whether a character would not be seen, or would change how what follows it is seen.
#[must_use]
pub fn hidden(character: char) -> bool {
    // Format characters turn the direction of text round, or take no room.
    let formats = matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    character.is_control() || formats
}

/// The form `$'...'` of bash, zsh and POSIX of 2024, in which hidden characters are spelled out.
fn escaped(word: &str) -> String {
    let mut text = String::from("$'");
    for character in word.chars() {
        match character {
            '\'' | '\\' => text.extend(['\\', character]),
            '\n' => text.push_str(r"\n"),
            '\t' => text.push_str(r"\t"),
            character if hidden(character) => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    // Writing to a string cannot fail.
                    let _ = write!(text, r"\{byte:03o}");
                }
            }
            character => text.push(character),
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_it_otherwise() {
        for (word, expected) in [
            ("./data.csv", "./data.csv"),
            ("db.example.com:5432", "db.example.com:5432"),
            ("", "''"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$(rm x)", "'$(rm x)'"),
            ("*.example.com:443", "'*.example.com:443'"),
            ("grün", "'grün'"),
            ("a\nb\u{1b}[2J", r"$'a\nb\033[2J'"),
            ("\u{202e}'\\", r"$'\342\200\256\'\\'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for word in [
            "",
            "two words",
            "it's",
            "$(x) `y` \"z\" !",
            "a\nb\u{1b}[2J\\",
            "\u{202e}'ü~*?[#",
        ] {
            let line = format!("printf %s {}", quoted(word));
            let done = std::process::Command::new("bash")
                .args(["-c", &line])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(done.stdout).unwrap(), word, "{line}");
        }
    }

    #[test]
    fn a_value_that_looks_like_a_flag_is_attached() {
        assert_eq!(flag("dir", Some("-x")), "--dir=-x");
        assert_eq!(flag("dir", Some("a b")), "--dir 'a b'");
        assert_eq!(flag("allow-dns", None), "--allow-dns");
    }
}
