use nexus::Dialect;
use nexus::internal::api::replay::{Replayed, replay};

/// The first byte is the API, the size of chunks and where the stream is cut. What is read does not depend on the
/// chunks, and an answer is complete only if the stream said so.
pub(crate) fn holds(input: &[u8]) {
    let Some((seed, stream)) = input.split_first() else { return };
    let dialect = if seed % 2 == 0 { Dialect::Anthropic } else { Dialect::Openai };
    let size = usize::from(seed / 2);
    let read = |stream: &[u8], size: usize| replay(dialect, stream.chunks(size)).unwrap();
    let whole = read(stream, stream.len().max(1));
    assert_eq!(read(stream, 1), whole);
    assert_eq!(read(stream, size + 2), whole);
    ends_as_it_says(&whole, stream);
    let beginning = &stream[..stream.len() * size / 128];
    ends_as_it_says(&read(beginning, beginning.len().max(1)), beginning);
}

fn ends_as_it_says(replayed: &Replayed, stream: &[u8]) {
    assert_ne!(replayed.complete, replayed.failure.is_some());
    // A name may be written with escapes.
    let ends = ["message_stop", "[DONE]", "finish_reason", "\\u"];
    let says = |end: &&str| stream.windows(end.len()).any(|bytes| bytes == end.as_bytes());
    assert!(!replayed.complete || ends.iter().any(says), "{replayed:?}");
    // An invalid byte becomes a character of three bytes.
    assert!(replayed.text.len() + replayed.thinking.len() <= 3 * stream.len());
}
