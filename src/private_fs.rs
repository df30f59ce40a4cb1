//! Files and folders that are nobody else's business: born private whatever the umask, and looked
//! at before they are trusted.
//!
//! What is ours and merely open to others is closed, with a word about it. What is somebody else's,
//! or leads to somewhere else, is refused: whoever put it there chose what we would read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use zeroize::Zeroizing;

/// Called after a file or folder that others could open was made private: with its path, and the mode it had.
pub type ClosedFn = Arc<dyn Fn(&Path, u32) + Send + Sync>;

/// Checks that files and folders are private, and makes them so.
#[derive(Clone, Default)]
pub struct Privacy(Option<ClosedFn>);

impl fmt::Debug for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Privacy")
    }
}

impl Privacy {
    /// Reports each file and folder that it makes private.
    pub fn reporting(closed: ClosedFn) -> Self {
        Self(Some(closed))
    }

    /// Creates a folder and its missing parents, open to nobody else. One that is there must be ours,
    /// or root's and not open to be changed by anybody else.
    pub fn folder(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        builder.create(path)?;
        self.check_folder(path)
    }

    /// Why a folder cannot be used, if it cannot: its nearest ancestor that exists, and the problem.
    pub(super) fn unusable_folder(&self, path: &Path) -> Option<(PathBuf, String)> {
        let problem = self.prove_folder(path).err()?;
        let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(path);
        Some((existing.to_owned(), problem))
    }

    /// Makes sure that a folder is there and takes files.
    ///
    /// # Errors
    /// What it does not do, and why.
    fn prove_folder(&self, path: &Path) -> Result<(), String> {
        let what = if path.is_dir() { "used" } else { "created" };
        self.folder(path).map_err(|error| format!("this folder cannot be {what}: {error}"))?;
        let probe = path.join(format!("probe-{}", std::process::id()));
        // One that somebody of this number left behind proves nothing.
        let probed = remove(&probe).and_then(|()| create(&probe)).and_then(|_| fs::remove_file(&probe));
        probed.map_err(|error| format!("this folder cannot be written to: {error}"))
    }

    /// Opens a file for reading and writing, and creates it private if it does not exist.
    pub fn open_or_create(&self, path: &Path) -> io::Result<File> {
        match create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match self.check(path).and_then(|()| options().open(path)) {
                    // Whoever made it has just removed it again.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
                    opened => opened,
                }
            }
            created => created,
        }
    }

    /// Writes a file whole under another name, reads it back, and renames it into place, so that it is
    /// never seen half-written.
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

    /// Refuses a file that somebody else could have put there, and closes one that others can read, and
    /// its folder.
    #[cfg(unix)]
    pub fn check(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |folder| self.check_folder(folder))?;
        self.check_file(path)
    }

    /// The same of the file alone.
    #[cfg(unix)]
    pub fn check_file(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let found = fs::symlink_metadata(path)?;
        if found.file_type().is_symlink() {
            return refused("this is a symbolic link, which could point to another user's file");
        }
        if !found.is_file() {
            return refused("this is not a regular file");
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return refused("this file belongs to another user");
        }
        self.close(path, found.mode(), 0o600)
    }

    #[cfg(unix)]
    fn check_folder(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let found = fs::metadata(path)?;
        if !found.is_dir() {
            return Err(rustix::io::Errno::NOTDIR.into());
        }
        if found.uid() == rustix::process::geteuid().as_raw() {
            return self.close(path, found.mode(), 0o700);
        }
        match found.mode() & 0o022 {
            0 if found.uid() == 0 => Ok(()),
            0 => refused(&format!("its folder {} belongs to another user", path.display())),
            _ => refused(&format!("other users can write to its folder {}", path.display())),
        }
    }

    #[cfg(unix)]
    fn close(&self, path: &Path, mode: u32, wanted: u32) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        if mode & 0o077 == 0 {
            return Ok(());
        }
        match fs::set_permissions(path, fs::Permissions::from_mode(wanted)) {
            // Nobody puts anything there, and what could be read was read by now.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => return Ok(()),
            closed => closed?,
        }
        if let Some(closed) = &self.0 {
            closed(path, mode & 0o777);
        }
        Ok(())
    }

    /// Elsewhere the folder of the user's profile is the protection.
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

/// Removes a file; that there is none is as good.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates a file that must not exist yet, for reading and writing by nobody else.
pub fn create(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
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

/// Makes a new name in a folder survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Lets a write beyond a limit on the size of files (`ulimit -f`) fail as any other write does. The
/// kernel tells of it by a signal first, and that ends a process that does not listen: between "sent"
/// and "saved" it would take the new tokens along. Whoever writes asks for it; it is done once.
pub fn survive_file_limit() {
    static LISTENING: Once = Once::new();
    #[cfg(unix)]
    LISTENING.call_once(|| {
        // That it came is of no interest: the write says so, too. Where nobody may listen, the limit is
        // as deadly as it was.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    });
    #[cfg(not(unix))]
    LISTENING.call_once(|| {});
}
