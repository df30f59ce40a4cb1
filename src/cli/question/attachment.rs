//! Attachments: files whose type is recognized by their content. They are read, with a limit, and checked before the
//! network is used.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::text::{self, NotUtf8};
use nexus::Part;

const MIB: usize = 1024 * 1024;

/// The largest request of the Messages API, in bytes.
pub(crate) const MAX_REQUEST: usize = 32 * MIB;

/// The largest image as it is sent, in bytes of base64.
const MAX_IMAGE: usize = 10 * MIB;

/// The longest side of an image, in pixels.
const MAX_SIDE: usize = 8_000;

const READABLE: &str = "models read text, PNG, JPEG, GIF, WebP and PDF";

/// The files as parts of a question, in their order.
///
/// # Errors
/// [`CliError::Attachment`], naming the file and what is wrong with it.
pub(crate) fn parts(files: &[PathBuf], prompt: &str, context: &Context) -> Result<Vec<Part>> {
    let mut parts = Vec::with_capacity(files.len());
    let mut sent = prompt.len();
    for path in files {
        let attached = Attached { path };
        let bytes = if is_stdin(path) {
            attached.bound(context.stdin_bytes(MAX_REQUEST + 1)?)?
        } else {
            attached.read(context)?
        };
        let part = attached.part(bytes)?;
        sent += length(&part);
        if sent > MAX_REQUEST {
            let why = format!("the question would be {}; the limit is {}", size(sent), size(MAX_REQUEST));
            return Err(attached.refused(why, "send fewer or smaller files"));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// The length of a part as it is sent, in bytes.
pub(crate) fn length(part: &Part) -> usize {
    match part {
        Part::Text(text) | Part::Document { text, .. } => text.len(),
        Part::Image { data, .. } | Part::Pdf { data, .. } => data.len(),
    }
}

/// Reads a system prompt from a file.
///
/// # Errors
/// [`CliError::Configuration`], naming the file and what is wrong with it.
pub(crate) fn system_prompt(path: &Path, context: &Context) -> Result<String> {
    if is_stdin(path) {
        return Err(CliError::usage("chat", "--system-file cannot be stdin; use --system \"$(cat)\" instead"));
    }
    let attached = Attached { path };
    let hint = "name a file of UTF-8 text";
    let not_text = |why| match why {
        NotUtf8::Encoding(_) => attached.refused(why.to_string(), hint),
        NotUtf8::At(_) => attached.refused("it is not UTF-8 text", hint),
    };
    let text = attached.read(context).and_then(|bytes| text::decode(bytes).map_err(not_text));
    text.map_err(|failure| match failure {
        CliError::Attachment { file, reason: why, hint: own } => CliError::Configuration {
            message: format!("the system prompt {file} cannot be used: {why}"),
            hint: if path.exists() { hint.into() } else { own },
        },
        other => other,
    })
}

/// Whether the path stands for stdin.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file to attach.
struct Attached<'a> {
    path: &'a Path,
}

impl Attached<'_> {
    /// The file's name, without its folder, as the model sees it.
    fn title(&self) -> String {
        match self.path.file_name() {
            _ if is_stdin(self.path) => "stdin".into(),
            Some(name) => name.to_string_lossy().into_owned(),
            None => self.path.to_string_lossy().into_owned(),
        }
    }

    fn refused(&self, why: impl Into<String>, hint: impl Into<String>) -> CliError {
        let file = if is_stdin(self.path) { "stdin".into() } else { self.path.display().to_string() };
        CliError::Attachment { file, reason: why.into(), hint: hint.into() }
    }

    fn read(&self, context: &Context) -> Result<Vec<u8>> {
        let path = self.path;
        let unreadable =
            |error: io::Error| self.refused(error.to_string(), "check the file's name and who may read it");
        let found = fs::metadata(path).map_err(unreadable)?;
        if found.is_dir() {
            return Err(self.refused("it is a folder", "attach the files in it, one by one"));
        }
        if found.is_file() && found.len() > MAX_REQUEST as u64 {
            return Err(self.too_large(&size(usize::try_from(found.len()).unwrap_or(usize::MAX))));
        }
        match context.file(path, MAX_REQUEST + 1).map_err(unreadable)? {
            Some(bytes) => self.bound(bytes),
            None => Err(self.refused("it is not a regular file", "pipe it in and attach `-`")),
        }
    }

    /// Refuses bytes that exceed the limit; reading stops one byte after it.
    fn bound(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        if bytes.len() > MAX_REQUEST {
            Err(self.too_large(&format!("more than {}", size(MAX_REQUEST))))
        } else {
            Ok(bytes)
        }
    }

    fn too_large(&self, size_of_it: &str) -> CliError {
        let why = format!("it is {size_of_it}; the limit for a question is {}", size(MAX_REQUEST));
        self.refused(why, "send a part of it")
    }

    fn part(&self, bytes: Vec<u8>) -> Result<Part> {
        let found = infer::get(&bytes).map(|kind| kind.mime_type());
        match found {
            Some(media_type @ ("image/png" | "image/jpeg" | "image/gif" | "image/webp")) => {
                self.image(media_type, &bytes)
            }
            Some("application/pdf") => {
                Ok(Part::Pdf { title: self.title(), data: self.encoded(&bytes, MAX_REQUEST, "a question")? })
            }
            found => self.text(bytes, found),
        }
    }

    fn image(&self, media_type: &'static str, bytes: &[u8]) -> Result<Part> {
        match imagesize::blob_size(bytes) {
            Ok(found) if found.width.max(found.height) > MAX_SIDE => {
                let why = format!("it is {} x {} pixels; the limit is {MAX_SIDE} per side", found.width, found.height);
                return Err(self.refused(why, "scale it down"));
            }
            // The crate does not know every header of the other types; the API checks those.
            Err(_) if matches!(media_type, "image/png" | "image/jpeg") => {
                let why = format!("it begins as {media_type} and ends before its size");
                return Err(self.refused(why, "copy or download it again"));
            }
            _ => {}
        }
        Ok(Part::Image { media_type, data: self.encoded(bytes, MAX_IMAGE, "an image")? })
    }

    fn encoded(&self, bytes: &[u8], limit: usize, what: &str) -> Result<String> {
        let length = bytes.len().div_ceil(3) * 4;
        if length > limit {
            let (bytes, length) = (size(bytes.len()), size(length));
            let why = format!("it is {bytes}, {length} in base64; the limit for {what} is {}", size(limit));
            return Err(self.refused(why, if limit == MAX_IMAGE { "scale it down" } else { "send a part of it" }));
        }
        Ok(BASE64_STANDARD.encode(bytes))
    }

    /// Any other file has to be UTF-8 text.
    fn text(&self, bytes: Vec<u8>, found: Option<&str>) -> Result<Part> {
        let nul = bytes.contains(&0);
        let text = match (text::decode(bytes), found) {
            (Ok(text), _) if !nul => text,
            (Err(why @ NotUtf8::Encoding(encoding)), _) => {
                return Err(self.refused(format!("it looks like {encoding} text"), why.hint()));
            }
            (_, Some(kind)) => {
                return Err(self.refused(format!("it looks like {kind}; {READABLE}"), "convert it to one of those"));
            }
            (Err(why @ NotUtf8::At(at)), None) if !nul => {
                let hint = why.hint();
                let why = format!("it is not UTF-8 text (invalid at byte {at}); {READABLE}");
                return Err(self.refused(why, hint));
            }
            _ => {
                return Err(
                    self.refused(format!("it looks like binary data; {READABLE}"), "convert it to one of those")
                );
            }
        };
        if text.trim().is_empty() {
            return Err(self.refused("it is empty", "leave it out"));
        }
        Ok(Part::Document { title: self.title(), text })
    }
}

/// A size in MiB, rounded up to a tenth.
pub(crate) fn size(bytes: usize) -> String {
    let tenths = bytes.saturating_mul(10).div_ceil(MIB);
    match tenths % 10 {
        0 => format!("{} MiB", tenths / 10),
        tenth => format!("{}.{tenth} MiB", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(bytes: &[u8]) -> std::result::Result<Part, String> {
        Attached { path: Path::new("f") }.part(bytes.to_vec()).map_err(|failure| failure.to_string())
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
        bytes.extend(*b"\x08\x06\0\0\0\0\0\0\0\0\0\0\0IEND\xae\x42\x60\x82");
        bytes
    }

    #[test]
    fn the_content_decides_what_a_file_is() {
        let image = |media_type, bytes: &[u8]| Ok(Part::Image { media_type, data: BASE64_STANDARD.encode(bytes) });
        let gif = b"GIF89a\x01\0\x01\0\0\0\0;";
        let webp = b"RIFF\x14\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\0\0\0\0";
        let jpeg =
            b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x0b\x08\0\x01\0\x01\x01\x01\x11\0\xff\xd9";
        assert_eq!(part(&png(8_000, 1)), image("image/png", &png(8_000, 1)));
        assert_eq!(part(gif), image("image/gif", gif));
        assert_eq!(part(webp), image("image/webp", webp));
        assert_eq!(part(jpeg), image("image/jpeg", jpeg));
        let pdf = b"%PDF-1.7\n";
        assert_eq!(part(pdf), Ok(Part::Pdf { title: "f".into(), data: BASE64_STANDARD.encode(pdf) }));
        for text in ["fn main() {}", "größer 😀", "<svg/>", "#!/bin/sh\n", "<!DOCTYPE html>", "{\"a\":1}", "x\u{feff}"]
        {
            let document = Ok(Part::Document { title: "f".into(), text: text.into() });
            assert_eq!(part(text.as_bytes()), document);
            assert_eq!(part(format!("\u{feff}{text}").as_bytes()), document);
        }
    }

    #[test]
    fn other_files_are_refused_by_their_type() {
        for (bytes, why) in [
            (&b"PK\x03\x04\x14\0\0\0\x08\0\xff"[..], "it looks like application/zip; "),
            (&[&b"\x7fELF\x02\x01\x01"[..], &[0; 60]].concat(), "it looks like application/x-executable; "),
            (b"II*\0\x10\0\0\0\xff\xff\xff\xff", "it looks like image/tiff; "),
            (b"\xff\xfeh\0i\0", "it looks like UTF-16 text"),
            (b"a\0b", "it looks like binary data; "),
            (b"caf\xe9 au lait", "it is not UTF-8 text (invalid at byte 3); "),
            (b"", "it is empty"),
            (b" \n\t", "it is empty"),
            (&png(1, 1)[..8], "it begins as image/png and ends before its size"),
            (b"\xff\xd8\xff\xe0\0\x10JF", "it begins as image/jpeg and ends before its size"),
            (&png(8_001, 5), "it is 8001 x 5 pixels; the limit is 8000 per side"),
        ] {
            let message = part(bytes).unwrap_err();
            assert!(message.starts_with(&format!("cannot attach f: {why}")), "{message}, not {why}");
        }
    }

    #[test]
    fn limits_are_exact_and_sizes_are_rounded_up() {
        let image = |bytes: usize| {
            let mut image = png(1, 1);
            image.resize(bytes, 0);
            part(&image).map(drop)
        };
        assert_eq!(image(MAX_IMAGE / 4 * 3), Ok(()));
        let message = "cannot attach f: it is 7.6 MiB, 10.1 MiB in base64; the limit for an image is 10 MiB";
        assert_eq!(image(MAX_IMAGE / 4 * 3 + 1), Err(message.into()));
        assert_eq!((size(MIB), size(MIB + 1), size(0)), ("1 MiB".into(), "1.1 MiB".into(), "0 MiB".into()));
    }
}
