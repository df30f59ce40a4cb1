//! Room for what is about to be bought: disk space that is held from before a refresh token is spent
//! until its successor is saved.
//!
//! That "refresh in flight" could be committed proves that the store can be written, but not that it
//! can grow, and not that nobody uses up the disk while the server answers. So a file is written
//! beside the database, as large as the largest pair can make the database and its journal grow, and
//! removed right before the save. It begins where the database ends, with a hole before it, so that
//! a limit on the size of single files is met before the token is spent, too. What a killed process
//! leaves is used by the session's next refresh, and removed.

use std::fs;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::private_fs::{self, Privacy};

/// How much is held, in bytes. A row takes 16 KiB for each token, 64 KiB for what the server said
/// beside, 64 KiB for its models, 16 KiB for scopes and a little for the rest, and the journal as much
/// again for the row that is replaced.
const SIZE: usize = 384 * 1024;

/// Room on the disk, until this is dropped.
#[derive(Debug)]
pub(super) struct Room(PathBuf);

impl Room {
    /// Takes room in this file for a database of so many bytes.
    pub(super) fn take(path: PathBuf, database: u64, privacy: &Privacy) -> io::Result<Self> {
        private_fs::survive_file_limit();
        let mut file = privacy.open_or_create(&path)?;
        let room = Self(path);
        file.set_len(0)?;
        file.seek(SeekFrom::Start(database))?;
        // Zeros take no room on a disk that compresses.
        let mut bytes = vec![0; SIZE];
        SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
        file.write_all(&bytes)?;
        // A disk may take the bytes and find no place for them until then.
        file.sync_data()?;
        Ok(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What stays is taken by the next refresh.
        let _ = fs::remove_file(&self.0);
    }
}
