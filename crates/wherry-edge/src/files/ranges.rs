//! Parts of a file: RFC 9110, 14.

use std::ops::Range;

/// The most parts that a request may ask for; with more it gets all of the file.
const MOST: usize = 16;

/// What a request asks for of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it.
    All,
    /// These parts, of which there is at least one, none of them empty.
    Parts(Vec<Range<u64>>),
    /// Parts that it does not have.
    Nothing,
}

/// What the value of a `Range` field asks for of a file of so many bytes.
///
/// What cannot be understood is ignored (14.2), and so is what would be more than the file.
pub fn asked(value: &str, size: u64) -> Asked {
    let Some((unit, set)) = value.split_once('=') else {
        return Asked::All;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Asked::All;
    }
    let mut parts = Vec::new();
    let mut total = 0_u64;
    for (place, part) in set.split(',').enumerate() {
        let Some(range) = part_of(part.trim(), size).filter(|_| place < MOST) else {
            return Asked::All;
        };
        if range.is_empty() {
            continue;
        }
        total += range.end - range.start;
        parts.push(range);
    }
    match parts.len() {
        0 => Asked::Nothing,
        1 => Asked::Parts(parts),
        _ if total > size => Asked::All,
        _ => Asked::Parts(parts),
    }
}

/// One part; an empty one where the file ends before it, `None` for what is no part.
fn part_of(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.split_once('-')?;
    if first.is_empty() {
        return Some(size.saturating_sub(number(last)?)..size);
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(first.min(size)..last.saturating_add(1).min(size))
}

/// A number, however large.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_file() {
        for (value, expected) in [
            ("bytes=0-0", &[(0, 1)][..]),
            ("bytes=0-99", &[(0, 100)]),
            ("bytes=0-100", &[(0, 100)]),
            ("bytes=10-", &[(10, 100)]),
            ("bytes=99-", &[(99, 100)]),
            ("bytes=-1", &[(99, 100)]),
            ("bytes=-100", &[(0, 100)]),
            ("bytes=-101", &[(0, 100)]),
            ("Bytes=5-6", &[(5, 7)]),
            ("bytes=0-99999999999999999999999", &[(0, 100)]),
            ("bytes=0-1,10-11", &[(0, 2), (10, 12)]),
            ("bytes=0-1 , -2", &[(0, 2), (98, 100)]),
            ("bytes=200-,3-4", &[(3, 5)]),
            ("bytes=-0,3-4", &[(3, 5)]),
        ] {
            let expected = expected.iter().map(|(start, end)| *start..*end).collect();
            assert_eq!(asked(value, 100), Asked::Parts(expected), "{value}");
        }
    }

    #[test]
    fn what_the_file_does_not_have_is_nothing() {
        for value in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=300-,200-"] {
            assert_eq!(asked(value, 100), Asked::Nothing, "{value}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Nothing);
    }

    #[test]
    fn what_is_no_range_is_ignored() {
        let many = format!("bytes={}", ["0-0"; 17].join(","));
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=0-1,x",
            "lines=0-1",
            "bytes=0-99,0-99",
            &many,
        ] {
            assert_eq!(asked(value, 100), Asked::All, "{value}");
        }
    }
}
