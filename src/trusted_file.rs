//! Opens files that decide what this program does, such as the configuration, and refuses those that other users can
//! change.
//!
//! A file is trusted if it belongs to this user or to root and no one else can write to it. The same holds for every
//! folder on its path, because an account that can write to a folder can replace its entries. Links are followed, and
//! the folders of the link and of its target are checked. Others may write to a folder with the sticky bit, where only
//! the owner of an entry can replace it. The group may write if it is the user's own and has no other member.
//!
//! With a POSIX access control list, the group bits of the mode are the most that any entry of the list grants
//! (acl(5)), so they show a named user who can write. The exception for the user's own group does not apply to such
//! files. NFSv4 lists are not in the mode and are not checked.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The largest content that [`read`] returns, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// Why a file is not trusted. It is the inner error of an [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untrusted {
    /// What has to be changed: the file, one of its folders, or a link.
    pub path: PathBuf,
    /// What `path` is.
    pub subject: Subject,
    /// What is wrong with it.
    pub fault: Fault,
    /// The user id of its owner.
    pub owner: u32,
    /// The user id of this process.
    pub user: u32,
}

/// A part of a file's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The file.
    File,
    /// The file that a link leads to.
    Target,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

/// What makes a part of a path untrusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It belongs to another user.
    Owner,
    /// Other users can write to it.
    Writable,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let subject = match self.subject {
            Subject::File => "this file".to_owned(),
            Subject::Target => format!("its target {path}"),
            Subject::Folder => format!("its folder {path}"),
            Subject::Link => format!("the link {path}"),
        };
        match self.fault {
            Fault::Owner => write!(f, "{subject} belongs to another user"),
            Fault::Writable => write!(f, "other users can write to {subject}"),
        }
    }
}

impl std::error::Error for Untrusted {}

impl Untrusted {
    /// The reason inside an error of this module.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Opens a regular file for reading, if it is trusted.
///
/// # Errors
/// Those of opening it; [`Untrusted`]; and if it is not a regular file, because reading a device or a pipe might never
/// end.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    checked(path).map(|(file, _)| file)
}

/// The bytes of a trusted file.
///
/// # Errors
/// Those of [`open`], and if it is larger than 1 MiB.
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let (file, found) = checked(path)?;
    let too_large = || io::Error::other("larger than 1 MiB");
    // Large enough never to grow, which would leave a copy of a secret in memory.
    let capacity = usize::try_from(found.len().min(LARGEST) + 1).map_err(|_| too_large())?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST { Err(too_large()) } else { Ok(bytes) }
}

fn regular(file: &File) -> io::Result<Metadata> {
    let found = file.metadata()?;
    if found.is_file() { Ok(found) } else { Err(io::Error::other("not a regular file")) }
}

/// Other systems than Unix protect the folder of the user's profile.
#[cfg(not(unix))]
fn checked(path: &Path) -> io::Result<(File, Metadata)> {
    let file = File::open(path)?;
    let found = regular(&file)?;
    Ok((file, found))
}

#[cfg(unix)]
use unix::checked;
#[cfg(unix)]
pub(crate) use unix::{check_file, check_folders};

#[cfg(unix)]
mod unix;
