//! Disk space that is reserved before a refresh token is sent, until its successor is saved.
//!
//! A file beside the database is as large as the largest session can make the database and its journal grow. It is
//! removed right before the save. It starts with a hole as long as the database, so that a limit on file sizes is found
//! before the token is sent. The next refresh reuses the file of a killed process.

use std::fs;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::private_fs::{self, Privacy};

/// How much is reserved, in bytes. A session takes 16 KiB for each token and the ID token, 64 KiB for metadata, 64 KiB
/// for its models, 16 KiB for scopes and a little for the rest, and the journal as much again for the row that is
/// replaced.
const SIZE: usize = 416 * 1024;

/// Reserved disk space; dropping it frees the space.
#[derive(Debug)]
pub(super) struct DiskReservation(PathBuf);

impl DiskReservation {
    /// Reserves space in the file at `path`, for a database of `database` bytes.
    pub(super) fn take(path: PathBuf, database: u64, privacy: &Privacy) -> io::Result<Self> {
        private_fs::survive_file_limit();
        let mut file = privacy.open_or_create(&path)?;
        let reservation = Self(path);
        file.set_len(0)?;
        file.seek(SeekFrom::Start(database))?;
        // Random, because zeros take no space on a compressing file system.
        let mut bytes = vec![0; SIZE];
        SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
        file.write_all(&bytes)?;
        // Some file systems allocate space only now.
        file.sync_data()?;
        Ok(reservation)
    }
}

impl Drop for DiskReservation {
    fn drop(&mut self) {
        // If this fails, the next refresh reuses the file.
        let _ = fs::remove_file(&self.0);
    }
}
