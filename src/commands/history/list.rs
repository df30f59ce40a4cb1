//! `nexus history list`: one conversation a line.

use serde_json::json;

use crate::commands::Done;
use crate::history::telling;
use crate::moment;
use crate::world::World;

/// What `nexus history list` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// So many at most
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,

    /// Print an object for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists them.
///
/// # Errors
/// A history that cannot be read.
pub(crate) fn run(args: &Args, world: &World) -> Done {
    let listed = world.history()?.list(args.limit)?;
    if args.json {
        let conversations: Vec<_> = listed
            .iter()
            .map(|(conversation, turns)| {
                let mut object = telling::summary(conversation);
                object["turns"] = (*turns).into();
                object
            })
            .collect();
        world.print_object(&json!({ "version": 1, "conversations": conversations }))?;
        return Ok(0);
    }
    let lines: String = listed
        .iter()
        .map(|(conversation, _)| {
            let at = moment::listed(conversation.updated_at, world.stdout_is_terminal());
            format!("{}  {at}  {}\n", conversation.id, world.shown(&conversation.title))
        })
        .collect();
    world.print(&lines)?;
    if listed.is_empty() {
        world.say("No conversations are kept");
    }
    Ok(0)
}
