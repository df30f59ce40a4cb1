//! "Did you mean": the known word that a mistyped one is nearest to.

/// How near is near enough, of 1 for the same word.
const NEAR: f64 = 0.7;

/// The known word that is nearest to this one, if any is near.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.into_iter().map(|known| (strsim::jaro_winkler(word, known), known));
    let (nearness, nearest) = rated.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (nearness > NEAR).then_some(nearest)
}
