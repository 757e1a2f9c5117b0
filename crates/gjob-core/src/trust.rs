//! Which files and directories are relied on: those that no other user could have
//! written. What lies elsewhere is not run, not obeyed and not read as settings.
//!
//! As with sshd's `StrictModes`, root is trusted, and a directory in which others may
//! make files is good enough to lie in if it is sticky, as `/tmp` is. A group may
//! write if it is the user's private one, which systems with a umask of 002 make.

use std::path::Path;

/// Others may write (`S_IWOTH`).
const OTHERS_WRITE: u32 = 0o002;

/// The group may write (`S_IWGRP`).
const GROUP_WRITE: u32 = 0o020;

/// The group or others may pass through a directory (`S_IXGRP`, `S_IXOTH`).
const OTHERS_ENTER: u32 = 0o011;

/// The group of root, whose members are trusted as root is. In some containers it is
/// that of all users.
const ROOTS_GROUP: u32 = 0;

/// In a directory: only a file's owner may rename or remove it (`S_ISVTX`).
const STICKY: u32 = 0o1000;

/// Who may write to a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its mode.
    pub mode: u32,
    /// True when a list of its own grants more than its mode does.
    pub has_acl: bool,
}

impl Ownership {
    /// True when it matters whether its group is the user's private one.
    #[must_use]
    pub fn may_group_write(&self) -> bool {
        self.mode & GROUP_WRITE != 0
    }
}

/// Why a file or directory is not relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// It is another user's.
    #[error("it belongs to user {uid}")]
    Owner {
        /// Whose.
        uid: u32,
    },
    /// A group can write to it.
    #[error("its group can write to it")]
    Group,
    /// Everybody can.
    #[error("other users can write to it")]
    Others,
}

/// Who is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The user.
    pub uid: u32,
    /// Whoever owns `/`: root, by whatever number a user namespace shows it.
    pub root: u32,
    /// The group that only the user is in, if there is one.
    pub private_group: Option<u32>,
}

impl Trusted {
    /// Whom a process of this user and group trusts, on a machine whose `/` belongs to
    /// `root`. If it matters whether a group is private, `read` gives the contents of
    /// the files that tell.
    pub fn new(
        (uid, gid): (u32, u32),
        root: u32,
        do_groups_matter: bool,
        read: impl Fn(&str) -> String,
    ) -> Trusted {
        let group = || private_group(uid, gid, &read("/etc/passwd"), &read("/etc/group"));
        Trusted { uid, root, private_group: do_groups_matter.then(group).flatten() }
    }

    /// Checks what is relied on.
    ///
    /// # Errors
    /// When somebody else could have written it.
    pub fn check(&self, it: &Ownership) -> Result<(), Distrust> {
        if ![self.uid, self.root, 0].contains(&it.uid) {
            return Err(Distrust::Owner { uid: it.uid });
        }
        if it.mode & OTHERS_WRITE != 0 {
            return Err(Distrust::Others);
        }
        let is_private = it.gid == ROOTS_GROUP || self.private_group == Some(it.gid);
        if it.mode & GROUP_WRITE != 0 && (it.has_acl || !is_private) {
            return Err(Distrust::Group);
        }
        Ok(())
    }

    /// Checks what is relied on, which comes first, and then the directories that it
    /// lies in. What others could write to does no harm where they cannot get there.
    ///
    /// # Errors
    /// When somebody else could have written it, or put another thing in its place.
    pub fn check_place<P>(
        &self,
        place: impl IntoIterator<Item = (P, Ownership)>,
    ) -> Result<(), (P, Distrust)> {
        let mut found = None;
        for (position, (path, it)) in place.into_iter().enumerate() {
            match self.check(&it) {
                Err(why @ Distrust::Owner { .. }) => return Err((path, why)),
                // What others make in a sticky directory is theirs.
                Err(_) if position > 0 && it.mode & STICKY != 0 => {}
                Err(why) => drop(found.get_or_insert((path, why))),
                Ok(()) if it.mode & OTHERS_ENTER == 0 => found = None,
                Ok(()) => {}
            }
        }
        found.map_or(Ok(()), Err)
    }
}

/// The directories that one lies in, itself first: up to the home directory, whose own
/// place every login relies on, or to the root directory. Both paths are without links.
pub fn ancestors<'a>(dir: &'a Path, home: Option<&'a Path>) -> impl Iterator<Item = &'a Path> {
    let mut is_home_passed = false;
    dir.ancestors().take_while(move |dir| {
        let is_within = !is_home_passed;
        is_home_passed |= Some(*dir) == home;
        is_within
    })
}

/// The private group of a user, whose own group has the number `gid`: one of the
/// user's name or number, in which `passwd` and `group`, the contents of the files of
/// these names, know of nobody else, neither as a member nor as a user of whom it is
/// the first group. A group that is not among them may have any members.
#[must_use]
fn private_group(uid: u32, gid: u32, passwd: &str, group: &str) -> Option<u32> {
    let user = named(passwd, uid).next().map(|(user, _)| user);
    let is_other = |member: &str| user.is_none_or(|user| user != member);
    let is_first_group_of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(2)?.trim().parse() == Ok(gid)).then_some(name.to_owned())
    };
    if passwd.lines().filter_map(is_first_group_of).any(|name| is_other(&name)) {
        return None;
    }
    let mut is_listed = false;
    for (name, members) in named(group, gid) {
        is_listed = true;
        let is_the_users = uid == gid || user == Some(name);
        if !is_the_users || members.split(',').any(|it| !it.is_empty() && is_other(it)) {
            return None;
        }
    }
    is_listed.then_some(gid)
}

/// The names of the lines with this number, each with what its fourth field holds.
fn named(lines: &str, number: u32) -> impl Iterator<Item = (&str, &str)> {
    lines.lines().filter_map(move |line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let is_it = fields.nth(1)?.parse() == Ok(number);
        is_it.then(|| (name, fields.next().unwrap_or_default().trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Trusted = Trusted { uid: 7, root: 0, private_group: Some(70) };

    fn it(uid: u32, gid: u32, mode: u32) -> Ownership {
        Ownership { uid, gid, mode, has_acl: false }
    }

    #[test]
    fn only_root_and_the_user_may_be_able_to_write() {
        let root = it(0, 0, 0o775);
        for good in [it(7, 9, 0o755), root, it(7, 70, 0o2775), it(7, 9, 0o40700)] {
            assert_eq!(ME.check(&good), Ok(()), "{good:?}");
        }
        assert_eq!(ME.check(&it(8, 70, 0o700)), Err(Distrust::Owner { uid: 8 }));
        assert_eq!(ME.check(&it(7, 9, 0o775)), Err(Distrust::Group));
        assert_eq!(ME.check(&it(0, 70, 0o1777)), Err(Distrust::Others));
        let with_acl = Ownership { has_acl: true, ..it(7, 70, 0o770) };
        assert_eq!(ME.check(&with_acl), Err(Distrust::Group));
    }

    /// Which of these is not relied on: the first is used, the others are above it.
    fn distrusted(place: &[Ownership]) -> Result<(), (usize, Distrust)> {
        ME.check_place(place.iter().copied().enumerate())
    }

    #[test]
    fn directory_above_may_be_sticky_and_is_never_anothers() {
        let own = it(7, 9, 0o700);
        assert_eq!(distrusted(&[own, it(0, 0, 0o1777), it(0, 0, 0o755)]), Ok(()));
        assert_eq!(distrusted(&[own, it(7, 9, 0o3775)]), Ok(()));
        assert_eq!(distrusted(&[it(7, 9, 0o1777)]), Err((0, Distrust::Others)));
        let other = Distrust::Owner { uid: 8 };
        assert_eq!(distrusted(&[own, it(8, 8, 0o1777)]), Err((1, other)));
        assert_eq!(
            distrusted(&[own, it(0, 9, 0o2775), it(0, 0, 0o755)]),
            Err((1, Distrust::Group))
        );
    }

    #[test]
    fn what_others_can_write_to_and_not_reach_is_relied_on() {
        let (open, closed) = (it(7, 9, 0o777), it(7, 9, 0o700));
        assert_eq!(distrusted(&[open, open, closed]), Ok(()));
        assert_eq!(distrusted(&[closed, open]), Err((1, Distrust::Others)));
        assert_eq!(distrusted(&[it(8, 8, 0o700), closed]), Err((0, Distrust::Owner { uid: 8 })));
    }

    #[test]
    fn owner_of_the_root_directory_counts_as_root() {
        let me = Trusted { root: 65534, ..ME };
        assert_eq!(me.check(&it(65534, 65534, 0o755)), Ok(()));
        assert_eq!(ME.check(&it(65534, 65534, 0o755)), Err(Distrust::Owner { uid: 65534 }));
    }

    #[test]
    fn directories_above_the_home_directory_are_not_looked_at() {
        let list = |dir, home: Option<&str>| -> Vec<String> {
            let dirs = ancestors(Path::new(dir), home.map(Path::new));
            dirs.map(|dir| dir.display().to_string()).collect()
        };
        assert_eq!(
            list("/home/ann/r/s", Some("/home/ann")),
            ["/home/ann/r/s", "/home/ann/r", "/home/ann"]
        );
        assert_eq!(list("/home/ann", Some("/home/ann")), ["/home/ann"]);
        assert_eq!(list("/data/r", Some("/home/ann")), ["/data/r", "/data", "/"]);
        assert_eq!(list("/data", None), ["/data", "/"]);
    }

    #[test]
    fn private_group_has_the_users_name_or_number_and_no_other_members() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:7:70::/home/ann:/bin/sh\n";
        let group = |line: &str| private_group(7, 70, passwd, line);
        assert_eq!(group("ann:x:70:\n"), Some(70));
        assert_eq!(group("ann:x:70:ann\n"), Some(70));
        assert_eq!(group("ann:x:70:ann,bob\n"), None);
        assert_eq!(group("lab:x:70:\n"), None);
        assert_eq!(group(""), None);
        let with_bob = format!("{passwd}bob:x:8:70::/home/bob:/bin/sh\n");
        assert_eq!(private_group(7, 70, &with_bob, "ann:x:70:\n"), None);
        assert_eq!(private_group(5, 5, passwd, ""), None);
        assert_eq!(private_group(5, 5, passwd, "five:x:5:\n"), Some(5));
        assert_eq!(private_group(5, 5, passwd, "staff:x:5:ann\n"), None);
    }
}
