//! What becomes of an answer: written as it comes, or told whole to a program.

use std::io;

use serde_json::json;

use crate::api::{Answer, Piece};
use crate::commands::Done;
use crate::terminal::Streamed;
use crate::world::World;

/// Writes the text piece by piece.
///
/// # Errors
/// A stdout that takes nothing, or why the answer is not whole.
pub(super) async fn streamed(mut answer: Answer, world: &World) -> Done {
    let mut out = Streamed::new(io::stdout().lock(), world.stdout_is_terminal());
    let ended = loop {
        match answer.next().await {
            Ok(Some(Piece::Text(text))) => out.write(&text)?,
            Ok(Some(Piece::Thinking(_))) => {}
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    // On a terminal an error must not begin in the middle of the answer's last line.
    if ended.is_ok() || world.stdout_is_terminal() {
        out.finish()?;
    }
    ended?;
    note_ending(&answer, world);
    Ok(0)
}

/// Prints one object when the answer is whole.
///
/// # Errors
/// A stdout that takes nothing, or why the answer is not whole.
pub(super) async fn whole(mut answer: Answer, world: &World) -> Done {
    let text = answer.text().await?;
    let ending = answer.ending();
    let object = json!({
        "version": 1,
        "answer": text,
        "model": ending.model,
        "stop_reason": ending.stop_reason,
        "usage": ending.usage,
        "request_id": ending.request_id,
    });
    world.print(&format!("{object}\n"))?;
    note_ending(&answer, world);
    Ok(0)
}

/// An answer that is whole as far as it goes, but goes no further because it was not allowed to.
fn note_ending(answer: &Answer, world: &World) {
    if answer.ending().stop_reason.as_deref() == Some("max_tokens") {
        world.say("note: the answer stops here because it reached --max-tokens");
    }
}
