//! What is kept and asked for: conversations, their turns, and the index to search them by.
//!
//! What is deleted is gone: `secure_delete` overwrites the rows, and the index, which only marks what
//! was deleted, is written anew without it.

use std::path::Path;

use super::schema::HISTORY;
use super::{Conversation, State, Turn, id};
use crate::cli::error::{CliError, Result};
use nexus::Role;
use nexus::internal::private_fs::{ClosedFn, Privacy};
use nexus::internal::store::database::{Database, Params, Row, Rows, Transaction, params, params_from_iter};

const CONVERSATION: &str = "conversation.id, conversation.title, conversation.provider, conversation.model, \
    conversation.system, conversation.created_at, conversation.updated_at";

/// What the index shows of a turn: some words around those that were found.
const SNIPPET: &str = "snippet(word, '', '', '...', 0, 12)";

/// How much is shown on either side of what was found without the index, in characters.
const AROUND: usize = 24;

/// Where conversations are kept.
#[derive(Debug, Clone)]
pub(crate) struct History {
    database: Database,
}

/// A question to be kept.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// With whose account.
    pub provider: String,
    /// Who is asked.
    pub model: String,
    /// The system prompt.
    pub system: Option<String>,
    /// The question, with the files' texts.
    pub text: String,
    /// What of it the person said; a new conversation's title is its beginning.
    pub words: String,
    /// When, in Unix seconds.
    pub at: i64,
}

/// Where words were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// In which conversation.
    pub conversation: Conversation,
    /// Who said them.
    pub role: Role,
    /// When, in Unix seconds.
    pub at: i64,
    /// Some words around them.
    pub excerpt: String,
}

/// What is to be deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// Conversations by their ids, which may be abbreviated.
    Ids(&'a [String]),
    /// Those in which nothing was said since this time, in Unix seconds.
    Before(i64),
    /// Everything.
    All,
}

impl History {
    /// A history in this folder; `closed` is called for files that were open to others. Nothing is read
    /// or made yet.
    pub(crate) fn new(data: &Path, closed: ClosedFn) -> Self {
        Self { database: Database::new(data.join("history.db"), &HISTORY, Privacy::reporting(closed)) }
    }

    /// Keeps a question: as the next of a conversation, or the first of a new one. Gives the
    /// conversation's id. A conversation that somebody has deleted meanwhile begins anew.
    ///
    /// # Errors
    /// [`CliError::History`] where it cannot be kept.
    pub(crate) fn ask(&self, conversation: Option<&str>, asked: &Asked) -> Result<String> {
        let mut named = conversation.map(str::to_owned);
        loop {
            let id = match named.take() {
                Some(id) => id,
                None => id::draw(asked.at)?,
            };
            let kept = self.write(|transaction| {
                let known = conversation.is_some()
                    && transaction.execute(
                        "UPDATE conversation SET provider = ?2, model = ?3, system = ?4, updated_at = ?5 WHERE id = ?1",
                        params![id, asked.provider, asked.model, asked.system, asked.at],
                    )? == 1;
                // Another may have drawn the same name in the same second.
                let begun = || {
                    let title = Conversation::title_of(&asked.words);
                    transaction.execute(
                        "INSERT OR IGNORE INTO conversation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                        params![id, title, asked.provider, asked.model, asked.system, asked.at],
                    )
                };
                let kept = known || begun()? == 1;
                if kept {
                    insert(transaction, &id, &Turn::asked(&asked.text, asked.at))?;
                }
                Ok(kept)
            })?;
            if kept {
                return Ok(id);
            }
        }
    }

    /// Keeps an answer, unless its conversation has been deleted.
    ///
    /// # Errors
    /// [`CliError::History`] where it cannot be kept.
    pub(crate) fn answer(&self, conversation: &str, turn: &Turn) -> Result<()> {
        self.write(|transaction| {
            let known = transaction.execute(
                "UPDATE conversation SET updated_at = max(updated_at, ?2) WHERE id = ?1",
                params![conversation, turn.at],
            )?;
            if known == 1 { insert(transaction, conversation, turn) } else { Ok(()) }
        })
    }

    /// The conversations, the last used first, and how many turns each has; so many at most.
    ///
    /// # Errors
    /// [`CliError::History`] where they cannot be read.
    pub(crate) fn list(&self, limit: Option<u32>) -> Result<Vec<(Conversation, i64)>> {
        let query = format!(
            "SELECT {CONVERSATION}, (SELECT count(*) FROM turn WHERE conversation = id)
             FROM conversation ORDER BY
             (SELECT max(number) FROM turn WHERE turn.conversation = conversation.id) DESC, id DESC LIMIT ?1"
        );
        let limit = limit.map_or(-1, i64::from);
        self.rows(&query, params![limit], |row| Ok((conversation(row)?, row.get(7)?)))
    }

    /// The conversation that was used last, if there is any.
    ///
    /// # Errors
    /// [`CliError::History`] where that cannot be read.
    pub(crate) fn newest(&self) -> Result<Option<Conversation>> {
        Ok(self.list(Some(1))?.pop().map(|(conversation, _)| conversation))
    }

    /// The conversation that an id, or the beginning of one, stands for.
    ///
    /// # Errors
    /// [`CliError::NoConversation`] where that is none or several, [`CliError::Usage`] where it is empty,
    /// [`CliError::History`] where it cannot be read.
    pub(crate) fn find(&self, wanted: &str) -> Result<Conversation> {
        let query =
            format!("SELECT {CONVERSATION} FROM conversation WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id DESC");
        // "None is kept" would not be true of it.
        if nexus::internal::clean::clean(wanted).is_empty() {
            return Err(CliError::usage("history", "the conversation id is empty; `nexus history list` shows the ids"));
        }
        let mut found = match id::typed(wanted) {
            Some(id) => self.rows(&query, params![id], conversation)?,
            None => Vec::new(),
        };
        match (found.len(), found.pop()) {
            (1, Some(conversation)) => Ok(conversation),
            (several, _) => Err(CliError::NoConversation { wanted: nexus::internal::clean::clean(wanted), several }),
        }
    }

    /// What was said in a conversation, in order.
    ///
    /// # Errors
    /// [`CliError::History`] where it cannot be read.
    pub(crate) fn turns(&self, conversation: &str) -> Result<Vec<Turn>> {
        let query = "SELECT role, text, state, model, stop_reason, usage, request_id, at
            FROM turn WHERE conversation = ?1 ORDER BY number";
        self.rows(query, params![conversation], |row| {
            let usage: Option<String> = row.get(5)?;
            Ok(Turn {
                role: role(row.get(0)?),
                text: row.get(1)?,
                state: State::from_word(&row.get::<_, String>(2)?),
                model: row.get(3)?,
                stop_reason: row.get(4)?,
                usage: usage.and_then(|usage| serde_json::from_str(&usage).ok()),
                request_id: row.get(6)?,
                at: row.get(7)?,
            })
        })
    }

    /// The last questions, whatever the conversation, the latest last; so many at most.
    ///
    /// # Errors
    /// [`CliError::History`] where they cannot be read.
    pub(crate) fn questions(&self, limit: usize) -> Result<Vec<String>> {
        let query = "SELECT text FROM turn WHERE role = 'user' ORDER BY number DESC LIMIT ?1";
        let mut questions = self.rows(query, params![i64::try_from(limit).unwrap_or(0)], |row| row.get(0))?;
        questions.reverse();
        Ok(questions)
    }

    /// The turns that hold all of these, the latest first; so many at most. Each word stands for all
    /// that begin with it, however they are accented or capitalised, and several words in one stand
    /// for themselves, one after the other. What is written in a script without spaces between words is
    /// found wherever it stands, without the index, which would take a whole message for one word.
    ///
    /// # Errors
    /// [`CliError::Usage`] where there is no word, [`CliError::History`] where they cannot be searched.
    pub(crate) fn search(&self, words: &[String], limit: Option<u32>) -> Result<Vec<Found>> {
        let (running_on, words): (Vec<&String>, Vec<_>) = words.iter().partition(|word| word.chars().any(runs_on));
        // What stands in quotes is one text here as it is for the index, and the quotes are no part of it.
        let running_on = running_on.into_iter().flat_map(|word| word.split('"')).map(str::trim);
        let running_on: Vec<&str> = running_on.filter(|word| !word.is_empty()).collect();
        let phrases: Vec<String> = words.into_iter().filter_map(|word| phrase(word)).collect();
        if phrases.is_empty() && running_on.is_empty() {
            return Err(CliError::usage(
                "history search",
                "no word to search for: pass at least one to `nexus history search`",
            ));
        }
        let limit = limit.map_or(-1, i64::from);
        let (indexed, excerpt) = match (phrases.is_empty(), running_on.is_empty()) {
            (true, _) => ("turn WHERE ", "turn.text"),
            (false, true) => ("word JOIN turn ON number = docid WHERE word MATCH ? AND ", SNIPPET),
            (false, false) => ("word JOIN turn ON number = docid WHERE word MATCH ? AND ", "turn.text"),
        };
        let holds = "turn.text LIKE ? ESCAPE '\\' AND ".repeat(running_on.len());
        let query = format!(
            "SELECT {CONVERSATION}, found.role, found.at, found.excerpt
             FROM (SELECT turn.number, turn.conversation, turn.role, turn.at, {excerpt} AS excerpt
                   FROM {indexed}{holds}true ORDER BY turn.number DESC LIMIT {limit}) AS found
             JOIN conversation ON conversation.id = found.conversation ORDER BY found.number DESC"
        );
        let index = (!phrases.is_empty()).then(|| phrases.join(" "));
        let values = index.into_iter().chain(running_on.iter().map(|word| anywhere(word)));
        self.rows(&query, params_from_iter(values), |row| {
            let text: String = row.get(9)?;
            let excerpt = running_on.first().map_or_else(|| text.clone(), |word| around(word, &text));
            Ok(Found {
                conversation: conversation(row)?,
                role: role(row.get(7)?),
                at: row.get(8)?,
                excerpt: excerpt.split_whitespace().collect::<Vec<_>>().join(" "),
            })
        })
    }

    /// Deletes conversations, and whatever the index knows of them. Gives how many there were.
    ///
    /// # Errors
    /// [`CliError::NoConversation`] where an id is none, and then nothing is deleted;
    /// [`CliError::History`] where they cannot be deleted.
    pub(crate) fn delete(&self, which: Which<'_>) -> Result<usize> {
        let ids: Vec<String> = match which {
            Which::Ids(ids) => {
                let mut found = ids.iter().map(|id| Ok(self.find(id)?.id)).collect::<Result<Vec<_>>>()?;
                found.sort();
                found.dedup();
                found
            }
            Which::Before(time) => {
                self.rows("SELECT id FROM conversation WHERE updated_at < ?1", params![time], |row| row.get(0))?
            }
            Which::All => self.rows("SELECT id FROM conversation", params![], |row| row.get(0))?,
        };
        if ids.is_empty() {
            return Ok(0);
        }
        self.write(|transaction| {
            let mut deleted = 0;
            for id in &ids {
                transaction.execute("DELETE FROM turn WHERE conversation = ?1", params![id])?;
                deleted += transaction.execute("DELETE FROM conversation WHERE id = ?1", params![id])?;
            }
            transaction.execute("INSERT INTO word(word) VALUES ('optimize')", [])?;
            Ok(deleted)
        })
    }

    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Rows<T>) -> Result<T> {
        self.database.write(work).map_err(CliError::History)
    }

    fn rows<T>(&self, query: &str, values: impl Params, read: impl Fn(&Row<'_>) -> Rows<T>) -> Result<Vec<T>> {
        self.database.rows(query, values, read).map_err(CliError::History)
    }
}

fn insert(transaction: &Transaction<'_>, conversation: &str, turn: &Turn) -> Rows<()> {
    transaction.execute(
        "INSERT INTO turn (conversation, role, text, state, model, stop_reason, usage, request_id, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            conversation,
            turn.role.as_str(),
            turn.text,
            turn.state.as_str(),
            turn.model,
            turn.stop_reason,
            turn.usage.as_ref().map(ToString::to_string),
            turn.request_id,
            turn.at,
        ],
    )?;
    Ok(())
}

fn conversation(row: &Row<'_>) -> Rows<Conversation> {
    Ok(Conversation {
        id: row.get(0)?,
        title: row.get(1)?,
        provider: row.get(2)?,
        model: row.get(3)?,
        system: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}

fn role(word: String) -> Role {
    if word == "user" { Role::User } else { Role::Assistant }
}

/// Whether a character belongs to a script whose words stand without spaces between them, or grow endings: Thai, Lao,
/// Burmese, Khmer, Japanese, Chinese, Korean.
fn runs_on(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

/// The pattern of a text that holds this one somewhere.
fn anywhere(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// Some of a text around the first place that holds this.
fn around(word: &str, text: &str) -> String {
    // As LIKE compares; no letter changes its length by it.
    let at = text.to_ascii_lowercase().find(&word.to_ascii_lowercase()).unwrap_or(0);
    let (before, after) = text.split_at(at);
    let start = before.char_indices().rev().nth(AROUND - 1).map_or(0, |(start, _)| start);
    let shown: String = after.chars().take(word.chars().count() + AROUND).collect();
    let dots = |cut| if cut { "..." } else { "" };
    format!("{}{}{shown}{}", dots(start > 0), &before[start..], dots(shown.len() < after.len()))
}

/// Words as the index is asked for them: one after the other, the last one as the beginning of one.
/// What means something to the index itself is left out.
fn phrase(words: &str) -> Option<String> {
    let words: String = words.chars().map(|c| if matches!(c, '"' | '*' | '^') { ' ' } else { c }).collect();
    let words = words.trim_matches(|c: char| !c.is_alphanumeric());
    (!words.is_empty()).then(|| format!("\"{words}*\""))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::*;

    #[test]
    fn writers_wait_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let history =
            History::new(&folder.path().join("data"), Arc::new(|path, mode| panic!("{} {mode:o}", path.display())));
        let asked = |text: &str| Asked {
            provider: "work".into(),
            model: "large".into(),
            system: None,
            text: text.into(),
            words: text.into(),
            at: 1_767_225_600,
        };
        let together = Barrier::new(8);
        thread::scope(|scope| {
            for talker in 0..8 {
                let (history, together, asked) = (&history, &together, &asked);
                scope.spawn(move || {
                    together.wait();
                    // All ask in the same second, so that ids must not collide either.
                    let id = history.ask(None, &asked(&format!("talker{talker}"))).unwrap();
                    for turn in 0..5 {
                        let answer = Turn { role: Role::Assistant, ..Turn::asked(&format!("answer{turn}"), 0) };
                        history.answer(&id, &answer).unwrap();
                        history.ask(Some(&id), &asked("on")).unwrap();
                    }
                });
            }
        });
        let listed = history.list(None).unwrap();
        assert_eq!(listed.len(), 8);
        assert!(listed.iter().all(|(_, turns)| *turns == 11));
    }
}
