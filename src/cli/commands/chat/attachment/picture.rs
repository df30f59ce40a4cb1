//! Whether all of a picture is there. One whose copying broke off costs a question, and the service
//! only says that it cannot be read; what stands behind a picture's end hurts nobody.

/// Whether the picture of this type goes on to its end, as far as its outline can be followed.
pub(super) fn is_whole(media_type: &str, bytes: &[u8]) -> bool {
    match media_type {
        "image/png" => png(bytes),
        "image/jpeg" => jpeg(bytes),
        "image/gif" => gif(bytes),
        "image/webp" => webp(bytes),
        _ => Some(true),
    }
    .unwrap_or(false)
}

/// Chunks up to `IEND` (PNG, 5.3): a length, a type, the data, a checksum.
fn png(bytes: &[u8]) -> Option<bool> {
    let mut rest = bytes.get(8..)?;
    loop {
        let length = u32::from_be_bytes(rest.first_chunk().copied()?);
        let kind = rest.get(4..8)?;
        rest = rest.get(8..)?.get(usize::try_from(length).ok()?..)?.get(4..)?;
        if kind == b"IEND" {
            return Some(true);
        }
    }
}

/// Segments up to `EOI` (ITU T.81, B.1): their lengths lead over a preview that has an end of its own.
fn jpeg(bytes: &[u8]) -> Option<bool> {
    const EOI: u8 = 0xd9;
    let mut rest = bytes;
    loop {
        let at = rest.iter().position(|byte| *byte == 0xff)?;
        rest = rest.get(at + 1..)?;
        match *rest.first()? {
            EOI => return Some(true),
            // What fills, an escaped 0xff in the data, and the markers without a segment.
            0xff => {}
            0x00 | 0x01 | 0xd0..=0xd8 => rest = &rest[1..],
            _ => {
                let length = u16::from_be_bytes(rest.get(1..)?.first_chunk().copied()?);
                rest = rest.get(1 + usize::from(length)..)?;
            }
        }
    }
}

/// Blocks up to the trailer (GIF89a, 27), which some programs leave out: behind a picture's data nothing of it is missing.
fn gif(bytes: &[u8]) -> Option<bool> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut rest = bytes.get(13 + table(*bytes.get(10)?)..)?;
    let mut seen = false;
    loop {
        let Some((kind, behind)) = rest.split_first() else { return Some(seen) };
        seen |= *kind == 0x2c;
        rest = match kind {
            0x3b => return Some(true),
            0x21 => blocks(behind.get(1..)?)?,
            0x2c => blocks(behind.get(9 + table(*behind.get(8)?) + 1..)?)?,
            // Nothing that anybody specified; the service may know better.
            _ => return Some(true),
        };
    }
}

/// What stands behind sub-blocks and the empty one that ends them.
fn blocks(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, behind) = rest.split_first()?;
        rest = behind.get(usize::from(*length)..)?;
        if *length == 0 {
            return Some(rest);
        }
    }
}

/// As long as it says itself (RFC 9649, 2.3).
fn webp(bytes: &[u8]) -> Option<bool> {
    let length = u32::from_le_bytes(bytes.get(4..)?.first_chunk().copied()?);
    Some(bytes.len() >= usize::try_from(length).ok()?.saturating_add(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_without_its_last_byte_is_not_whole_and_more_than_that_is() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x04IDATIEND\0\0\0\0\0\0\0\0IEND\xae\x42\x60\x82";
        // A preview with an end of its own stands in the first segment.
        let jpeg = b"\xff\xd8\xff\xe1\0\x06\xff\xd8\xff\xd9\xff\xff\xda\0\x02ab\xff\0c\xff\xd0d\xff\xd9";
        let gif = b"GIF89a\x01\0\x01\0\x80\0\0......\x21\xf9\x01;\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02;;\0;";
        let webp = b"RIFF\x0c\0\0\0WEBPVP8L\0\0\0\0";
        for (media_type, bytes) in
            [("image/png", &png[..]), ("image/jpeg", jpeg), ("image/gif", gif), ("image/webp", webp)]
        {
            assert!(is_whole(media_type, bytes), "{media_type}");
            assert!(is_whole(media_type, &[bytes, b"more\xff\xd9"].concat()), "{media_type}");
            let trailer = usize::from(media_type == "image/gif");
            for cut in 0..bytes.len() - trailer {
                assert!(!is_whole(media_type, &bytes[..cut]), "{media_type} of {cut} bytes");
            }
        }
    }
}
