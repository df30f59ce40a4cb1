//! Ids of conversations: eight letters and digits, six for the second of the first question and two random ones. So ids
//! sort by age.

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::cli::error::{CliError, Result};

/// The digits of Crockford's base 32, without the look-alikes `i`, `l` and `o`.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The start of 2025, in Unix seconds. Six base-32 digits last 34 years from there.
const EPOCH: i64 = 1_735_689_600;

/// An id for a conversation that begins now. It may be taken already.
pub(super) fn generate(now: i64) -> Result<String> {
    let mut random = [0; 2];
    SysRng.try_fill_bytes(&mut random).map_err(CliError::system("generating a random number"))?;
    let seconds = u64::try_from(now.saturating_sub(EPOCH)).unwrap_or(0);
    let time = (0..6).rev().map(|place| seconds >> (5 * place));
    Ok(time.chain(random.map(u64::from)).map(letter).collect())
}

/// A prefix of an id as it was typed, in lower case. None if no id can begin with it.
pub(super) fn normalized(text: &str) -> Option<String> {
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
    fn ids_sort_by_age() {
        let mut last = String::new();
        for now in [0, EPOCH, EPOCH + 1, EPOCH + 31, EPOCH + 32, EPOCH + 40_000_000, EPOCH + 1_000_000_000] {
            let id = generate(now).unwrap();
            assert_eq!((id.len(), normalized(&id).as_ref()), (8, Some(&id)));
            assert!(id[..6] >= last[..last.len().min(6)], "{id} after {last}");
            last = id;
        }
        assert!(last > generate(EPOCH + 999_999_999).unwrap());
    }

    #[test]
    fn only_prefixes_of_ids_are_accepted() {
        assert_eq!(normalized("1WQ3").as_deref(), Some("1wq3"));
        for text in ["", "1wq3k9xdz", "oil", "a b", "%", "ä"] {
            assert_eq!(normalized(text), None, "{text}");
        }
    }
}
