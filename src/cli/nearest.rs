//! "Did you mean" suggestions.

/// The least similarity of a suggestion; 1 is equality.
const NEAR: f64 = 0.7;

/// The known word most similar to this one, if any is similar.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A single letter counts as similar to every word that has it near its beginning.
    if word.chars().count() < 2 {
        return None;
    }
    let rated = known.into_iter().map(|known| (strsim::jaro_winkler(word, known), known));
    let (nearness, nearest) = rated.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (nearness > NEAR).then_some(nearest)
}
