//! What a conversation is called: eight letters and digits that are easily told apart and typed, six
//! for the second it began in and two at random. Sorted by name is sorted by age.

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::cli::error::{CliError, Result};

/// Without `i`, `l`, `o` and `u`, as Crockford's base 32: what looks alike is there once.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The start of 2025, in Unix seconds. Six letters of 32 last 34 years from there.
const EPOCH: i64 = 1_735_689_600;

/// A name for what begins at this time. Another may have it already.
///
/// # Errors
/// [`CliError::System`] without a random source.
pub(super) fn draw(now: i64) -> Result<String> {
    let mut random = [0; 2];
    SysRng.try_fill_bytes(&mut random).map_err(CliError::system("drawing a random number"))?;
    let seconds = u64::try_from(now.saturating_sub(EPOCH)).unwrap_or(0);
    let time = (0..6).rev().map(|place| seconds >> (5 * place));
    Ok(time.chain(random.map(u64::from)).map(letter).collect())
}

/// What a person typed, as ids are written; nothing where no id has such letters.
pub(super) fn typed(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let fits = (1..=8).contains(&text.len()) && text.bytes().all(|byte| LETTERS.contains(&byte));
    fits.then_some(text)
}

fn letter(number: u64) -> char {
    char::from(LETTERS[usize::try_from(number % 32).unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_time_goes_by() {
        let mut last = String::new();
        for now in [0, EPOCH, EPOCH + 1, EPOCH + 31, EPOCH + 32, EPOCH + 40_000_000, EPOCH + 1_000_000_000] {
            let id = draw(now).unwrap();
            assert_eq!((id.len(), typed(&id).as_ref()), (8, Some(&id)));
            assert!(id[..6] >= last[..last.len().min(6)], "{id} after {last}");
            last = id;
        }
        assert!(last > draw(EPOCH + 999_999_999).unwrap());
    }

    #[test]
    fn what_is_no_name_is_told() {
        assert_eq!(typed("1WQ3").as_deref(), Some("1wq3"));
        for text in ["", "1wq3k9xdz", "oil", "a b", "%", "ä"] {
            assert_eq!(typed(text), None, "{text}");
        }
    }
}
