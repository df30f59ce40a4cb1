//! Many questions at once: what a line asks, what is answered already, how fast to go on.
//!
//! [`prompts`] reads the lines, [`answers`] is the file of results and what is in it, [`pace`] learns
//! how much the service takes. None of them asks anything; `nexus chat --batch` puts them together.
//!
//! Whatever ends the program, `kill -9` included, loses no answer that stands in the file: a line is
//! written by one call and never touched again, and a file that has to be cleaned of earlier failures is
//! replaced by one that is complete. So that the same command can be run again and again until all is
//! answered, and a table of 24 bytes an id is all that it has to remember of the file.

pub mod answers;
pub mod ledger;
pub mod pace;
pub mod prompts;
