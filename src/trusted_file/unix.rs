//! The checks by owner and mode.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

use super::{Fault, Subject, Untrusted, regular};

/// How often a file is opened that is replaced each time while its path is checked.
const TRIES: u32 = 8;

/// The most links on a path, as in Linux.
const MAX_LINKS: u32 = 40;

const STICKY: u32 = 0o1000;
const GROUP_CAN_WRITE: u32 = 0o020;
const OTHERS_CAN_WRITE: u32 = 0o002;

/// Opens a trusted file. The opened file is the one that is checked, whatever its path leads to later.
pub(super) fn checked(path: &Path) -> io::Result<(File, Metadata)> {
    // Opening a pipe would wait for its writer.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let mut missing = None;
    for _ in 0..TRIES {
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            // A link may have been replaced after it was read, and its old target removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                missing = Some(error);
                continue;
            }
            opened => opened?,
        };
        missing = None;
        let opened = regular(&file)?;
        let (end, found) = match walk(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            walked => walked?,
        };
        if (found.dev(), found.ino()) == (opened.dev(), opened.ino()) {
            let subject = if path.is_symlink() { Subject::Target } else { Subject::File };
            check(subject, &end, &opened)?;
            return Ok((file, opened));
        }
    }
    Err(missing.unwrap_or_else(|| io::Error::other("it is replaced again and again while it is opened")))
}

/// Checks a folder and all folders above it.
pub(crate) fn check_folders(path: &Path) -> io::Result<()> {
    walk(path).map(drop)
}

/// Checks a file that is no link, without its folders.
pub(crate) fn check_file(path: &Path, found: &Metadata) -> io::Result<()> {
    check(Subject::File, path, found)
}

/// Follows a path from the root and checks every folder and link on it. Returns where it leads, without links.
///
/// This is safe against changes meanwhile: a folder is looked into only after it was checked, and then no other user
/// can replace what is in it.
fn walk(path: &Path) -> io::Result<(PathBuf, Metadata)> {
    let mut at = PathBuf::from("/");
    let mut found = fs::symlink_metadata(&at)?;
    check(Subject::Folder, &at, &found)?;
    let mut ahead = reversed(&std::path::absolute(path)?);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            at.pop();
            found = fs::symlink_metadata(&at)?;
            continue;
        }
        at.push(name);
        found = fs::symlink_metadata(&at)?;
        if found.is_symlink() {
            check(Subject::Link, &at, &found)?;
            links += 1;
            if links > MAX_LINKS {
                return Err(rustix::io::Errno::LOOP.into());
            }
            let target = fs::read_link(&at)?;
            at.pop();
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            ahead.extend(reversed(&target));
        } else if found.is_dir() {
            check(Subject::Folder, &at, &found)?;
        }
    }
    Ok((at, found))
}

/// The names on a path, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    let mut names: Vec<_> = names.map(|part| part.as_os_str().to_owned()).collect();
    names.reverse();
    names
}

fn check(subject: Subject, path: &Path, found: &Metadata) -> io::Result<()> {
    let user = rustix::process::geteuid().as_raw();
    match fault(subject, path, found, user) {
        None => Ok(()),
        Some(fault) => {
            let problem = Untrusted { path: path.to_owned(), subject, fault, owner: found.uid(), user };
            Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
        }
    }
}

fn fault(subject: Subject, path: &Path, found: &Metadata, user: u32) -> Option<Fault> {
    let (owner, mode) = (found.uid(), found.mode());
    let folder = subject == Subject::Folder;
    // The mode of a link has no meaning.
    let writable = if subject == Subject::Link { 0 } else { mode & (GROUP_CAN_WRITE | OTHERS_CAN_WRITE) };
    let only_owners_write = folder && (writable == 0 || mode & STICKY != 0);
    let owner_is_trusted = [0, user].contains(&owner) || (only_owners_write && is_unmapped(owner));
    if !owner_is_trusted {
        return Some(Fault::Owner);
    }
    let group_is_own = || !has_access_list(path) && groups::is_own(found.gid(), user);
    let trusted = writable == 0 || only_owners_write || (writable == GROUP_CAN_WRITE && group_is_own());
    (!trusted).then_some(Fault::Writable)
}

/// Whether this is the id that a user namespace shows for owners without an id in it (user_namespaces(7)), such as root
/// outside of a container.
fn is_unmapped(owner: u32) -> bool {
    let overflow = || fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok();
    let all_are_mapped = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    overflow() == Some(owner) && fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !all_are_mapped(map))
}

/// Whether a file has a POSIX access control list.
fn has_access_list(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        let none = [Errno::NODATA, Errno::OPNOTSUPP];
        rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut [0u8; 0])
            .map_or_else(|error| !none.contains(&error), |_| true)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

mod groups {
    use std::fs;

    /// Whether only this user and root are in a group that has the user's name or id. Groups of other sources than
    /// `/etc/group` are not the user's own, because their members are not known.
    pub(super) fn is_own(group: u32, user: u32) -> bool {
        let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        is_own_in(&read("/etc/passwd"), &read("/etc/group"), group, user)
    }

    /// See passwd(5) and group(5) for the formats.
    fn is_own_in(passwd: &str, groups: &str, group: u32, user: u32) -> bool {
        let users: Vec<(&str, u32, u32)> = passwd.lines().filter_map(account).collect();
        let named = |name: &str, ids: &[u32]| users.iter().any(|(other, id, _)| *other == name && ids.contains(id));
        let mut own = false;
        for (name, members) in groups.lines().filter_map(|line| entry(line, group)) {
            let mut members = members.split(',').map(str::trim).filter(|member| !member.is_empty());
            if !members.all(|member| named(member, &[0, user])) {
                return false;
            }
            own |= group == user || named(name, &[user]);
        }
        // The members by their primary group.
        own && users.iter().all(|(_, id, primary)| *primary != group || [0, user].contains(id))
    }

    /// The name, id and primary group of a user.
    fn account(line: &str) -> Option<(&str, u32, u32)> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((name, fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    }

    /// The name and the members of this group.
    fn entry(line: &str, group: u32) -> Option<(&str, &str)> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (id == group).then(|| (name, fields.next().unwrap_or_default()))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_group_is_the_users_own_if_it_has_no_other_member() {
            let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n\
                eve:x:1001:100::/home/eve:/bin/sh\nservice:x:7:7::/:/bin/false\n";
            let groups = "root:x:0:\nusers:x:100:\nada:x:1000:\neve:x:1001:ada\nteam:x:2000:ada,eve\nservice:x:7:eve\n\
                shared:x:3000:\nada:x:4000:\n";
            let own = |group, user| is_own_in(passwd, groups, group, user);
            assert!(own(1000, 1000), "same name and id");
            assert!(own(4000, 1000), "same name");
            assert!(own(0, 0), "root");
            for (group, user, why) in [
                (2000, 1000, "another member"),
                (3000, 1000, "another name"),
                (100, 1001, "the primary group of a user with another name"),
                (1001, 1001, "another member of the own group"),
                (7, 7, "another member of the group of a service"),
                (1000, 1001, "the group of another user"),
                (5000, 5000, "not in /etc/group"),
                (0, 1000, "the group of root"),
            ] {
                assert!(!own(group, user), "{why}");
            }
            let joined = format!("{passwd}mallory:x:1002:1000::/:/bin/sh\n");
            assert!(!is_own_in(&joined, groups, 1000, 1000), "another user has it as the primary group");
            assert!(!is_own_in("", "", 1000, 1000) && !is_own_in("::::", "::\n:::", 0, 0));
        }
    }
}
