//! Private files and folders: created with mode 0600 or 0700 whatever the umask, and checked before use.
//!
//! A file of this user that is open to others is made private and reported, and so is its folder, unless the caller
//! only looks. A symbolic link is refused, and so is what another user could change (`trusted_file.rs`).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(unix)]
use std::sync::Once;

use zeroize::Zeroizing;

#[cfg(unix)]
use crate::trusted_file;

/// Called with the path and the former mode of a file or folder that was made private.
pub type ClosedFn = Arc<dyn Fn(&Path, u32) + Send + Sync>;

/// Makes files and folders private.
#[derive(Clone, Default)]
pub struct Privacy {
    closed: Option<ClosedFn>,
    root: Option<PathBuf>,
    only_looks: bool,
}

impl fmt::Debug for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Privacy")
    }
}

impl Privacy {
    /// Calls `closed` for each file and folder that is made private.
    #[must_use]
    pub fn reporting(self, closed: ClosedFn) -> Self {
        Self { closed: Some(closed), ..self }
    }

    /// Leaves files and folders as they are. Those of this user are not refused for being open to others.
    #[must_use]
    pub fn only_looking(self) -> Self {
        Self { only_looks: true, ..self }
    }

    /// Makes this folder private as well when something in it is used, at any depth.
    #[must_use]
    pub fn with_root(self, root: &Path) -> Self {
        Self { root: Some(root.to_owned()), ..self }
    }

    /// Creates a private folder and its missing parents. An existing folder and the folders above it must not be
    /// writable by other users.
    pub fn folder(&self, path: &Path) -> io::Result<()> {
        create_folder(path)?;
        self.check_folder(path)
    }

    /// Why a folder cannot be used, if it cannot: its nearest ancestor that exists, and the problem.
    pub(super) fn unusable_folder(&self, path: &Path) -> Option<(PathBuf, String)> {
        if self.only_looks {
            return None;
        }
        let problem = self.prove_folder(path).err()?;
        let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(path);
        Some((existing.to_owned(), problem))
    }

    /// Creates a folder if necessary, and checks that it is writable.
    fn prove_folder(&self, path: &Path) -> Result<(), String> {
        let what = if path.is_dir() { "used" } else { "created" };
        self.folder(path).map_err(|error| format!("this folder cannot be {what}: {error}"))?;
        let probe = path.join(format!("probe-{}", std::process::id()));
        let probed = remove(&probe).and_then(|()| create(&probe)).and_then(|_| fs::remove_file(&probe));
        probed.map_err(|error| format!("this folder cannot be written to: {error}"))
    }

    /// Opens a file for reading and writing, and creates it private if it does not exist.
    pub fn open_or_create(&self, path: &Path) -> io::Result<File> {
        match create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match self.check(path).and_then(|()| options().open(path)) {
                    // It was removed in the meantime.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
                    opened => opened,
                }
            }
            created => created,
        }
    }

    /// Replaces a file atomically: writes `draft`, reads it back, and renames it.
    pub fn replace(&self, path: &Path, draft: &Path, line: &str) -> io::Result<()> {
        survive_file_limit();
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        self.folder(folder)?;
        remove(draft)?;
        let mut file = create(draft)?;
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        let read = Zeroizing::new(fs::read_to_string(draft)?);
        if read.trim_end() != line {
            return Err(io::Error::other("the file does not read back as written"));
        }
        fs::rename(draft, path)?;
        sync_folder(folder)
    }

    /// Refuses a file that another user can change or replace, and makes the file and its folder private.
    #[cfg(unix)]
    pub fn check(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |folder| self.check_folder(folder))?;
        self.check_file(path)
    }

    /// Refuses a file that another user can change, and makes it private. Does not check its folders.
    #[cfg(unix)]
    pub fn check_file(&self, path: &Path) -> io::Result<()> {
        let found = fs::symlink_metadata(path)?;
        if found.file_type().is_symlink() {
            return refused("this is a symbolic link, which could point to another user's file");
        }
        if !found.is_file() {
            return refused("this is not a regular file");
        }
        if found.uid() == rustix::process::geteuid().as_raw() {
            return self.close(path, found.mode(), 0o600);
        }
        trusted_file::check_file(path, &found)
    }

    #[cfg(unix)]
    fn check_folder(&self, path: &Path) -> io::Result<()> {
        let root = self.root.as_deref().filter(|root| *root != path && path.starts_with(root));
        let mut others = path;
        for folder in root.into_iter().chain([path]) {
            let found = fs::metadata(folder)?;
            if !found.is_dir() {
                return Err(rustix::io::Errno::NOTDIR.into());
            }
            if found.uid() == rustix::process::geteuid().as_raw() {
                self.close(folder, found.mode(), 0o700)?;
                if self.only_looks && others.starts_with(folder) {
                    others = folder.parent().unwrap_or(folder);
                }
            }
        }
        trusted_file::check_folders(others)
    }

    #[cfg(unix)]
    fn close(&self, path: &Path, mode: u32, wanted: u32) -> io::Result<()> {
        if mode & 0o077 == 0 || self.only_looks {
            return Ok(());
        }
        match fs::set_permissions(path, fs::Permissions::from_mode(wanted)) {
            // Nothing can be written there, and what could be read was read.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => return Ok(()),
            closed => closed?,
        }
        if let Some(closed) = &self.closed {
            closed(path, mode & 0o777);
        }
        Ok(())
    }

    /// Checks that the file exists. Other systems than Unix protect the folder of the user's profile.
    #[cfg(not(unix))]
    pub fn check(&self, path: &Path) -> io::Result<()> {
        fs::symlink_metadata(path).map(drop)
    }

    #[cfg(not(unix))]
    pub fn check_file(&self, path: &Path) -> io::Result<()> {
        self.check(path)
    }

    #[cfg(not(unix))]
    fn check_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
fn refused(why: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// Removes a file if it exists.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates a private file that must not exist yet.
pub fn create(path: &Path) -> io::Result<File> {
    let file = options().create_new(true).open(path)?;
    // The umask may have removed the owner's permissions.
    #[cfg(unix)]
    if file.metadata()?.mode() & 0o600 != 0o600 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Creates a private folder and its missing parents, unless it exists.
fn create_folder(path: &Path) -> io::Result<()> {
    let create = || {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        builder.mode(0o700);
        match builder.create(path) {
            Err(_) if path.is_dir() => Ok(()),
            // The umask may have removed the owner's permissions.
            #[cfg(unix)]
            Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o700)),
            created => created,
        }
    };
    match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), create_folder)?;
            create()
        }
        created => created,
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// Makes the creation or renaming of a file in this folder durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Makes a write above the limit on file sizes (`ulimit -f`) fail with an error. Without a handler, SIGXFSZ would end
/// the process, and new tokens would be lost between the request and the save.
pub fn survive_file_limit() {
    #[cfg(unix)]
    static HANDLED: Once = Once::new();
    #[cfg(unix)]
    HANDLED.call_once(|| {
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    });
}
