use nexus::internal::api::sse::Decoder;

/// The first byte is the size of chunks. Events do not depend on it, and are not longer than the input.
pub(crate) fn holds(input: &[u8]) {
    let Some((seed, stream)) = input.split_first() else { return };
    let whole = decode([stream]);
    assert_eq!(decode(stream.chunks(1)), whole);
    assert_eq!(decode(stream.chunks(usize::from(*seed) + 2)), whole);
    let told: usize = whole.0.iter().map(|(name, data)| name.len() + data.len()).sum();
    // An invalid byte becomes a character of three bytes.
    assert!(told <= 3 * stream.len());
}

/// The events, and whether the stream ended between two events.
fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<(String, String)>, bool) {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(event) = decoder.next_event().unwrap() {
            events.push((event.name.to_owned(), event.data.to_owned()));
        }
    }
    (events, decoder.is_between_events())
}
