//! "Did you mean": the nearest of the words that would have been right.

/// A hint naming the known word nearest to `word`, or else every known word if they are few; empty otherwise.
pub(crate) fn hint<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, &known) {
        return format!("did you mean `{near}`?");
    }
    match known.len() {
        1..=12 => format!("known here: {}", list(&known)),
        _ => String::new(),
    }
}

/// The nearest known word, if it is near enough to be a slip of the finger.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > 100 {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    known
        .iter()
        .map(|candidate| (distance(&lower, &candidate.to_ascii_lowercase()), *candidate))
        .filter(|(far, candidate)| *far <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// Words in backticks, separated by commas.
pub(crate) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Edits between two words: insert, delete, replace, or swap two neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_nonsense_does_not() {
        let known = ["exclude", "enabled", "paths", "kind"];
        assert_eq!(nearest("exlcude", &known), Some("exclude"));
        assert_eq!(nearest("path", &known), Some("paths"));
        assert_eq!(nearest("Enabled", &known), Some("enabled"));
        assert_eq!(nearest("frequency", &known), None);
        assert_eq!(hint("frequency", known), "known here: `exclude`, `enabled`, `paths`, `kind`");
        assert_eq!(hint("x", []), "");
    }
}
