//! Files and folders that are nobody else's business: born private whatever the umask, and looked
//! at before they are trusted.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Creates a folder and its missing parents, open to nobody else.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Creates a file that must not exist yet, for reading and writing by nobody else.
pub(super) fn create(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
}

/// Opens a file for reading and writing, and creates it private if it does not exist.
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    options().create(true).truncate(false).open(path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

/// Refuses a file that somebody else could have put there or could read, and mends what only the
/// mode is wrong with.
#[cfg(unix)]
pub(super) fn check(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let found = fs::symlink_metadata(path)?;
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if found.file_type().is_symlink() {
        return refused("this is a symbolic link, which could lead to somebody else's file");
    }
    if !found.is_file() {
        return refused("this is no file");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return refused("this file belongs to another user");
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Elsewhere the folder of the user's profile is the protection.
#[cfg(not(unix))]
pub(super) fn check(path: &Path) -> io::Result<()> {
    fs::symlink_metadata(path).map(drop)
}

/// Makes a new name in a folder survive a power cut.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
