//! What an HTML page says.

/// The title of an HTML page as it is written, empty if it has none. `None` if the text is not HTML.
pub(crate) fn title(text: &str) -> Option<&str> {
    // ASCII only, so positions are the same in both.
    let lower = text.to_ascii_lowercase();
    if !["<!doctype html", "<html", "<head", "<title"].iter().any(|mark| lower.trim_start().starts_with(mark)) {
        return None;
    }
    let title = || {
        let tag = lower.find("<title")?;
        let start = tag + lower[tag..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        Some(&text[start..end])
    };
    Some(title().unwrap_or_default())
}
