//! Decodes gzip (RFC 1952) piece by piece. The checksum is not verified: TLS and JSON show damage.

use std::mem;

use hyper::body::{Buf as _, Bytes};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// The first bytes of every gzip member. Neither JSON nor a stream of events begins with them.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most bytes that are decompressed at a time.
const CHUNK: usize = 16 * 1024;

/// The longest header of a member that is accepted, in bytes. It may hold a file name and a comment.
const MAX_HEADER: usize = 64 * 1024;

/// The length of the checksum and the size at the end of a member, in bytes.
const TRAILER: usize = 8;

/// The bytes are not gzip.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidGzip;

/// A gzip body that is being decoded.
#[derive(Default)]
pub(super) struct Gunzip {
    compressed: Bytes,
    part: Part,
}

/// The part of a member that comes next.
enum Part {
    /// The header, as far as it came.
    Header(Vec<u8>),
    Data(Box<InflateState>),
    /// Bytes of the trailer that are still to come.
    Trailer(usize),
    /// Something else follows the last member, such as padding. It is ignored, as gzip does.
    End,
}

impl Default for Part {
    fn default() -> Self {
        Self::Header(Vec::new())
    }
}

impl Gunzip {
    /// Takes in the next compressed bytes. [`next_chunk`](Self::next_chunk) must have used up the ones before.
    pub(super) fn push(&mut self, compressed: Bytes) {
        self.compressed = compressed;
    }

    /// The next decompressed bytes, at most [`CHUNK`]. `None` if it needs more compressed ones.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, InvalidGzip> {
        loop {
            match &mut self.part {
                Part::Header(header) => {
                    let known = header.len();
                    header.extend_from_slice(&self.compressed);
                    match header_length(header) {
                        Some(length) => {
                            self.compressed.advance(length - known);
                            self.part = Part::Data(InflateState::new_boxed(DataFormat::Raw));
                        }
                        None if !MAGIC.starts_with(&header[..header.len().min(MAGIC.len())]) => {
                            return Err(InvalidGzip);
                        }
                        None if header.len() > MAX_HEADER => return Err(InvalidGzip),
                        None => {
                            self.compressed.clear();
                            return Ok(None);
                        }
                    }
                }
                Part::Data(state) => {
                    let mut chunk = vec![0; CHUNK];
                    let result = inflate(state, &self.compressed, &mut chunk, MZFlush::None);
                    self.compressed.advance(result.bytes_consumed);
                    chunk.truncate(result.bytes_written);
                    match result.status {
                        Ok(MZStatus::StreamEnd) => self.part = Part::Trailer(TRAILER),
                        // Without input, the decoder reports that it cannot go on.
                        Ok(_) | Err(MZError::Buf) if self.compressed.is_empty() => {
                            return Ok(Some(chunk).filter(|chunk| !chunk.is_empty()));
                        }
                        Ok(_) => {}
                        Err(_) => return Err(InvalidGzip),
                    }
                    if !chunk.is_empty() {
                        return Ok(Some(chunk));
                    }
                }
                Part::Trailer(left) => {
                    let skipped = self.compressed.len().min(*left);
                    self.compressed.advance(skipped);
                    *left -= skipped;
                    if self.compressed.is_empty() {
                        return Ok(None);
                    }
                    // Another member may follow.
                    self.part = match self.compressed.first() == MAGIC.first() {
                        true => Part::default(),
                        false => Part::End,
                    };
                }
                Part::End => {
                    drop(mem::take(&mut self.compressed));
                    return Ok(None);
                }
            }
        }
    }
}

/// The length of a complete header (RFC 1952, section 2.3), in bytes.
fn header_length(bytes: &[u8]) -> Option<usize> {
    const FIXED: usize = 10;
    let flags = *bytes.get(3)?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    let mut length = FIXED;
    if has(2) {
        let extra = bytes.get(length..length + 2)?;
        length += 2 + usize::from(u16::from_le_bytes([extra[0], extra[1]]));
    }
    // The file name and the comment end with a zero.
    for _ in [3, 4].into_iter().filter(|bit| has(*bit)) {
        length += bytes.get(length..)?.iter().position(|byte| *byte == 0)? + 1;
    }
    length += if has(1) { 2 } else { 0 };
    (length <= bytes.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member with these flags and the fields that they announce.
    fn member(text: &[u8], flags: u8, fields: &[u8]) -> Vec<u8> {
        let head = [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255], fields].concat();
        [head, miniz_oxide::deflate::compress_to_vec(text, 6), vec![0; TRAILER]].concat()
    }

    fn decode<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, InvalidGzip> {
        let (mut gunzip, mut text) = (Gunzip::default(), Vec::new());
        for chunk in chunks {
            gunzip.push(Bytes::copy_from_slice(chunk));
            while let Some(chunk) = gunzip.next_chunk()? {
                assert!(!chunk.is_empty() && chunk.len() <= CHUNK);
                text.extend(chunk);
            }
        }
        Ok(text)
    }

    #[test]
    fn a_body_is_decoded_however_it_is_cut() {
        let text = "Grüße, world! ".repeat(5_000).into_bytes();
        let plain = member(&text, 0, b"");
        let named = member(&text, 0b1_1110, b"\x03\0abcname\0a comment\0\x12\x34");
        let two = [member(&text[..9], 0, b""), member(&text[9..], 0b1000, b"x\0")].concat();
        let padded = [plain.clone(), vec![0; 100]].concat();
        for body in [plain, named, two, padded] {
            assert!(decode([&*body].into_iter()).as_ref() == Ok(&text));
            assert!(decode(body.chunks(1)).as_ref() == Ok(&text));
            assert!(decode(body.chunks(1_000)).as_ref() == Ok(&text));
        }
    }

    #[test]
    fn what_was_compressed_so_far_is_decoded_so_far() {
        let body = member(&[b'x'; 100], 0, b"");
        for end in 0..body.len() {
            let text = decode([&body[..end]].into_iter()).unwrap();
            assert!(text.iter().all(|byte| *byte == b'x'));
        }
    }

    #[test]
    fn damage_is_an_error() {
        let mut damaged = member(b"some text", 0, b"");
        damaged[10] = 0xff;
        assert_eq!(decode([&*damaged].into_iter()), Err(InvalidGzip));
        let endless = [&[0x1f, 0x8b, 8, 0b1000, 0, 0, 0, 0, 0, 255], &[b'n'; MAX_HEADER][..]].concat();
        assert_eq!(decode(endless.chunks(999)), Err(InvalidGzip));
    }
}
