//! Text that a user gives in a file or on stdin: UTF-8, perhaps with a byte order mark, which is dropped.

use std::path::Path;
use std::{fmt, io, mem};

use nexus::internal::trusted_file;
use zeroize::Zeroizing;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Why bytes are not UTF-8 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotUtf8 {
    /// They begin with the byte order mark of this encoding.
    Encoding(&'static str),
    /// The offset of the first byte that is not UTF-8.
    At(usize),
}

impl NotUtf8 {
    /// The reason for an error of [`read_trusted`], if it is this one.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// How to convert the text.
    pub(crate) fn hint(self) -> String {
        match self {
            Self::Encoding(encoding) => format!("convert it: `iconv -f {encoding} -t UTF-8`"),
            Self::At(_) => "convert it: `iconv -t UTF-8` reads many encodings".into(),
        }
    }
}

impl std::error::Error for NotUtf8 {}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(encoding) => write!(f, "it is {encoding}, not UTF-8"),
            Self::At(at) => write!(f, "invalid UTF-8 at byte {at}"),
        }
    }
}

/// The text of a trusted file, as [`decode`] reads it.
///
/// # Errors
/// Those of [`trusted_file::read`] and of [`decode`].
pub(crate) fn read_trusted(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut bytes = trusted_file::read(path)?;
    decode(mem::take(&mut *bytes)).map(Zeroizing::new).map_err(io::Error::other)
}

/// The text in these bytes, without a byte order mark.
///
/// # Errors
/// The encoding, or the first invalid byte.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, NotUtf8> {
    if let Some(encoding) = other_encoding(&bytes) {
        return Err(encoding);
    }
    let mut text = String::from_utf8(bytes).map_err(|error| NotUtf8::At(error.utf8_error().valid_up_to()))?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(text)
}

/// Text that a person typed or pasted, without a byte order mark at its head.
pub(crate) fn typed(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// The encoding whose byte order mark begins these bytes, if it is not UTF-8.
pub(crate) fn other_encoding(bytes: &[u8]) -> Option<NotUtf8> {
    // The mark of UTF-32 begins with that of UTF-16.
    let marks: [(&[u8], _); 4] =
        [(b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")];
    marks.iter().find(|(mark, _)| bytes.starts_with(mark)).map(|(_, encoding)| NotUtf8::Encoding(encoding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_dropped_or_names_the_encoding() {
        let decoded = |bytes: &[u8]| decode(bytes.to_vec()).map_err(|error| error.to_string());
        assert_eq!(decoded(b"\xef\xbb\xbf a\r\n"), Ok(" a\r\n".into()));
        assert_eq!(decoded("a\u{feff}".as_bytes()), Ok("a\u{feff}".into()));
        assert_eq!(decoded(b"\xff\xfea\0"), Err("it is UTF-16, not UTF-8".into()));
        assert_eq!(decoded(b"\xfe\xff\0a"), Err("it is UTF-16, not UTF-8".into()));
        assert_eq!(decoded(b"\xff\xfe\0\0a\0\0\0"), Err("it is UTF-32, not UTF-8".into()));
        assert_eq!(decoded(b"ab\xff"), Err("invalid UTF-8 at byte 2".into()));
    }
}
