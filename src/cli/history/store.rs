//! The database of conversations, with a full-text index.
//!
//! Deleted text is gone from the file: `secure_delete` overwrites rows, and the index, which only marks deleted
//! entries, is rewritten.

use std::ops::Range;
use std::path::Path;

use super::schema::HISTORY;
use super::{Conversation, State, Turn, id};
use crate::cli::error::{CliError, Result};
use nexus::Role;
use nexus::internal::private_fs::Privacy;
use nexus::internal::store::database::{Database, Params, Row, Rows, Transaction, params, params_from_iter};

const CONVERSATION: &str = "conversation.id, conversation.title, conversation.provider, conversation.model, \
    conversation.system, conversation.created_at, conversation.updated_at";

/// An excerpt from the full-text index, with [`MARKS`] around the matches.
const SNIPPET: &str = "snippet(word, '\u{fdd0}', '\u{fdd1}', '...', 0, 12)";

/// Where a match begins and ends. Neither is a character of any text (Unicode: noncharacters).
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// The characters of an excerpt on either side of a match that was found without the index.
const AROUND: usize = 24;

#[derive(Debug, Clone)]
pub(crate) struct History {
    database: Database,
}

/// A question to save.
#[derive(Debug, Clone)]
pub(crate) struct NewQuestion {
    pub provider: String,
    pub model: String,
    pub system: Option<String>,
    /// The question, with the text of attached files.
    pub text: String,
    /// The question without attached files. Its beginning is the title of a new conversation.
    pub prompt: String,
    /// What was typed at the prompt of a conversation, if the question came from there.
    pub typed: Option<String>,
    /// In Unix seconds.
    pub at: i64,
}

/// A turn that matches a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub conversation: Conversation,
    pub role: Role,
    /// In Unix seconds.
    pub at: i64,
    /// The text around the first match.
    pub excerpt: String,
    /// Where the matches are in the excerpt, in bytes.
    pub matches: Vec<Range<usize>>,
}

impl Found {
    /// Who said it.
    pub(crate) fn speaker(&self) -> &'static str {
        match self.role {
            Role::User => "you",
            Role::Assistant => "answer",
        }
    }
}

/// Conversations to delete.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Selection<'a> {
    /// By ids or prefixes of ids.
    Ids(&'a [String]),
    /// Not used since this time, in Unix seconds.
    Before(i64),
    All,
}

impl History {
    /// A history in this folder. `closed` is called for files that other users could read until now. Opens nothing yet.
    pub(crate) fn new(data: &Path, privacy: Privacy) -> Self {
        Self { database: Database::new(data.join("history.db"), &HISTORY, privacy) }
    }

    /// Saves a question in a conversation, or in a new one. Returns the id of the conversation. If it was deleted
    /// meanwhile, it is created again.
    pub(crate) fn save_question(&self, conversation: Option<&str>, question: &NewQuestion) -> Result<String> {
        let mut wanted = conversation.map(str::to_owned);
        loop {
            let id = match wanted.take() {
                Some(id) => id,
                None => id::generate(question.at)?,
            };
            let saved = self.write(|transaction| {
                let exists = conversation.is_some()
                    && transaction.execute(
                        "UPDATE conversation SET provider = ?2, model = ?3, system = ?4, updated_at = ?5 WHERE id = ?1",
                        params![id, question.provider, question.model, question.system, question.at],
                    )? == 1;
                // Another process may have generated the same id.
                let create = || {
                    let title = Conversation::title_of(&question.prompt);
                    transaction.execute(
                        "INSERT OR IGNORE INTO conversation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                        params![id, title, question.provider, question.model, question.system, question.at],
                    )
                };
                let saved = exists || create()? == 1;
                if saved {
                    insert(transaction, &id, &Turn::question(&question.text, question.at), question.typed.as_deref())?;
                }
                Ok(saved)
            })?;
            if saved {
                return Ok(id);
            }
        }
    }

    /// Saves an answer, unless its conversation was deleted. It takes the place of the last `replaced` ones.
    pub(crate) fn save_answer(&self, conversation: &str, turn: &Turn, replaced: usize) -> Result<()> {
        self.write(|transaction| {
            let updated = transaction.execute(
                "UPDATE conversation SET updated_at = max(updated_at, ?2) WHERE id = ?1",
                params![conversation, turn.at],
            )?;
            if updated == 0 {
                return Ok(());
            }
            if replaced > 0 {
                transaction.execute(
                    "UPDATE turn SET state = 'replaced' WHERE state = 'whole' AND number IN
                     (SELECT number FROM turn WHERE conversation = ?1 AND role = 'assistant'
                      ORDER BY number DESC LIMIT ?2)",
                    params![conversation, i64::try_from(replaced).unwrap_or(i64::MAX)],
                )?;
            }
            insert(transaction, conversation, turn, None)
        })
    }

    /// Saves why no answer came to the question of this time.
    pub(crate) fn save_failure(&self, conversation: &str, asked_at: i64, why: &str) -> Result<()> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE turn SET failure = ?3 WHERE number =
                 (SELECT max(number) FROM turn WHERE conversation = ?1 AND role = 'user' AND at = ?2)",
                params![conversation, asked_at, why],
            )?;
            Ok(())
        })
    }

    /// At most `limit` conversations, most recently used first, with their numbers of turns.
    pub(crate) fn list(&self, limit: Option<u32>) -> Result<Vec<(Conversation, i64)>> {
        let query = format!(
            "SELECT {CONVERSATION}, (SELECT count(*) FROM turn WHERE conversation = id)
             FROM conversation ORDER BY
             (SELECT max(number) FROM turn WHERE turn.conversation = conversation.id) DESC, id DESC LIMIT ?1"
        );
        let limit = limit.map_or(-1, i64::from);
        self.rows(&query, params![limit], |row| Ok((conversation(row)?, row.get(7)?)))
    }

    /// The most recently used conversation.
    pub(crate) fn newest(&self) -> Result<Option<Conversation>> {
        Ok(self.list(Some(1))?.pop().map(|(conversation, _)| conversation))
    }

    /// The conversation with this id or prefix of an id.
    pub(crate) fn find(&self, wanted: &str) -> Result<Conversation> {
        let query =
            format!("SELECT {CONVERSATION} FROM conversation WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id DESC");
        // `NoConversation` with an empty id means that the history is empty.
        if nexus::internal::clean::clean(wanted).is_empty() {
            return Err(CliError::usage("history", "the conversation id is empty; `nexus history list` shows the ids"));
        }
        let mut found = match id::normalized(wanted) {
            Some(id) => self.rows(&query, params![id], conversation)?,
            None => Vec::new(),
        };
        match (found.len(), found.pop()) {
            (1, Some(conversation)) => Ok(conversation),
            (several, _) => Err(CliError::NoConversation { wanted: nexus::internal::clean::clean(wanted), several }),
        }
    }

    /// The turns of a conversation, in order.
    pub(crate) fn turns(&self, conversation: &str) -> Result<Vec<Turn>> {
        let query = "SELECT role, text, state, model, stop_reason, usage, request_id, failure, at
            FROM turn WHERE conversation = ?1 ORDER BY number";
        self.rows(query, params![conversation], |row| {
            let usage: Option<String> = row.get(5)?;
            Ok(Turn {
                role: role(row.get(0)?),
                text: row.get(1)?,
                parts: Vec::new(),
                state: State::from_word(&row.get::<_, String>(2)?),
                model: row.get(3)?,
                stop_reason: row.get(4)?,
                usage: usage.and_then(|usage| serde_json::from_str(&usage).ok()),
                request_id: row.get(6)?,
                failure: row.get(7)?,
                at: row.get(8)?,
            })
        })
    }

    /// The last `limit` entries that were typed in conversations, latest last.
    pub(crate) fn typed(&self, limit: usize) -> Result<Vec<String>> {
        let query = "SELECT typed FROM turn WHERE typed IS NOT NULL ORDER BY number DESC LIMIT ?1";
        let mut typed = self.rows(query, params![i64::try_from(limit).unwrap_or(0)], |row| row.get(0))?;
        typed.reverse();
        Ok(typed)
    }

    /// At most `limit` turns that contain all of these words, latest first. A word matches longer ones that begin with
    /// it, regardless of case and accents. Several words in one argument are a phrase. Text in a script without spaces
    /// is searched without the index, which takes a whole sentence for one word.
    pub(crate) fn search(&self, words: &[String], limit: Option<u32>) -> Result<Vec<Found>> {
        let (unspaced, words): (Vec<&String>, Vec<_>) = words.iter().partition(|word| word.chars().any(is_unspaced));
        // Quotes are not part of the text.
        let unspaced = unspaced.into_iter().flat_map(|word| word.split('"')).map(str::trim);
        let unspaced: Vec<&str> = unspaced.filter(|word| !word.is_empty()).collect();
        let phrases: Vec<String> = words.into_iter().filter_map(|word| phrase(word)).collect();
        if phrases.is_empty() && unspaced.is_empty() {
            return Err(CliError::usage(
                "history search",
                "no word to search for: pass at least one to `nexus history search`",
            ));
        }
        let limit = limit.map_or(-1, i64::from);
        let (indexed, excerpt) = match (phrases.is_empty(), unspaced.is_empty()) {
            (true, _) => ("turn WHERE ", "turn.text"),
            (false, true) => ("word JOIN turn ON number = docid WHERE word MATCH ? AND ", SNIPPET),
            (false, false) => ("word JOIN turn ON number = docid WHERE word MATCH ? AND ", "turn.text"),
        };
        let holds = "turn.text LIKE ? ESCAPE '\\' AND ".repeat(unspaced.len());
        let query = format!(
            "SELECT {CONVERSATION}, found.role, found.at, found.excerpt
             FROM (SELECT turn.number, turn.conversation, turn.role, turn.at, {excerpt} AS excerpt
                   FROM {indexed}{holds}true ORDER BY turn.number DESC LIMIT {limit}) AS found
             JOIN conversation ON conversation.id = found.conversation ORDER BY found.number DESC"
        );
        let index = (!phrases.is_empty()).then(|| phrases.join(" "));
        let values = index.into_iter().chain(unspaced.iter().map(|word| like_pattern(word)));
        self.rows(&query, params_from_iter(values), |row| {
            let text: String = row.get(9)?;
            let excerpt = match unspaced.first() {
                Some(word) => marked(&excerpt_around(word, &text), &unspaced),
                None => text,
            };
            let (excerpt, matches) = unmarked(&excerpt.split_whitespace().collect::<Vec<_>>().join(" "));
            Ok(Found { conversation: conversation(row)?, role: role(row.get(7)?), at: row.get(8)?, excerpt, matches })
        })
    }

    /// Deletes conversations. Returns how many. If an id is unknown, none is deleted.
    pub(crate) fn delete(&self, which: Selection<'_>) -> Result<usize> {
        let ids: Vec<String> = match which {
            Selection::Ids(ids) => {
                let mut found = ids.iter().map(|id| Ok(self.find(id)?.id)).collect::<Result<Vec<_>>>()?;
                found.sort();
                found.dedup();
                found
            }
            Selection::Before(time) => {
                self.rows("SELECT id FROM conversation WHERE updated_at < ?1", params![time], |row| row.get(0))?
            }
            Selection::All => self.rows("SELECT id FROM conversation", params![], |row| row.get(0))?,
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

    fn rows<T>(&self, query: &str, values: impl Params + Clone, read: impl Fn(&Row<'_>) -> Rows<T>) -> Result<Vec<T>> {
        self.database.rows(query, values, read).map_err(CliError::History)
    }
}

fn insert(transaction: &Transaction<'_>, conversation: &str, turn: &Turn, typed: Option<&str>) -> Rows<()> {
    transaction.execute(
        "INSERT INTO turn (conversation, role, text, state, model, stop_reason, usage, request_id, at, typed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
            typed,
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

/// Whether a character belongs to a script without spaces between words or with endings attached to them: Thai, Lao,
/// Burmese, Khmer, Japanese, Chinese, Korean.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

/// The LIKE pattern of texts that contain this one.
fn like_pattern(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// The text around the first occurrence of a word.
fn excerpt_around(word: &str, text: &str) -> String {
    // LIKE ignores the case of ASCII letters only.
    let at = text.to_ascii_lowercase().find(&word.to_ascii_lowercase()).unwrap_or(0);
    let (before, after) = text.split_at(at);
    let start = before.char_indices().rev().nth(AROUND - 1).map_or(0, |(start, _)| start);
    let shown: String = after.chars().take(word.chars().count() + AROUND).collect();
    let dots = |cut| if cut { "..." } else { "" };
    format!("{}{}{shown}{}", dots(start > 0), &before[start..], dots(shown.len() < after.len()))
}

/// The text with [`MARKS`] around each of these words.
fn marked(text: &str, words: &[&str]) -> String {
    let [begin, end] = MARKS;
    let lower = text.to_ascii_lowercase();
    let words: Vec<_> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let (mut marked, mut at) = (String::new(), 0);
    while let Some(c) = text[at..].chars().next() {
        match words.iter().find(|word| lower[at..].starts_with(&***word)) {
            Some(word) => {
                marked.extend([begin].into_iter().chain(text[at..at + word.len()].chars()).chain([end]));
                at += word.len();
            }
            None => {
                marked.push(c);
                at += c.len_utf8();
            }
        }
    }
    marked
}

/// The text without [`MARKS`], and the places between them.
fn unmarked(text: &str) -> (String, Vec<Range<usize>>) {
    let (mut plain, mut matches, mut begun) = (String::new(), Vec::new(), None);
    for c in text.chars() {
        match MARKS.iter().position(|mark| *mark == c) {
            Some(0) => begun = Some(plain.len()),
            Some(_) => matches.extend(begun.take().map(|begun: usize| begun..plain.len())),
            None => plain.push(c),
        }
    }
    (plain, matches)
}

/// A phrase in the query syntax of the index, whose last word is a prefix. Operators of the syntax are removed.
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
        let history = History::new(
            &folder.path().join("data"),
            Privacy::default().reporting(Arc::new(|path, mode| panic!("{} {mode:o}", path.display()))),
        );
        let question = |text: &str| NewQuestion {
            provider: "work".into(),
            model: "large".into(),
            system: None,
            text: text.into(),
            prompt: text.into(),
            typed: None,
            at: 1_767_225_600,
        };
        let together = Barrier::new(8);
        thread::scope(|scope| {
            for writer in 0..8 {
                let (history, together, question) = (&history, &together, &question);
                scope.spawn(move || {
                    together.wait();
                    // All in the same second, so that ids could collide.
                    let id = history.save_question(None, &question(&format!("writer{writer}"))).unwrap();
                    for turn in 0..5 {
                        let answer = Turn { role: Role::Assistant, ..Turn::question(&format!("answer{turn}"), 0) };
                        history.save_answer(&id, &answer, 0).unwrap();
                        history.save_question(Some(&id), &question("on")).unwrap();
                    }
                });
            }
        });
        let listed = history.list(None).unwrap();
        assert_eq!(listed.len(), 8);
        assert!(listed.iter().all(|(_, turns)| *turns == 11));
    }
}
