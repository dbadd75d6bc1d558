//! Did you mean: the name that someone was about to type.

/// The candidate that is most like `word`, if one is like it at all.
///
/// Likeness is the share of letters that need not change (Damerau and Levenshtein: swapped neighbours are
/// one slip), so short words must match closely and long ones may be off by a few letters.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.6;
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_heard_and_other_words_are_not() {
        let names = ["memory", "timeout", "max-output", "env", "env-file"];
        for (word, meant) in [
            ("memroy", Some("memory")),
            ("time-out", Some("timeout")),
            ("max_output", Some("max-output")),
            ("envfile", Some("env-file")),
            ("network", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), meant, "{word}");
        }
    }
}
