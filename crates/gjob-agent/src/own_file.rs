//! gjob's own files on a host. Jobs run as the same user and can put anything in their
//! place: no link is followed, the other end of a pipe is not waited for, and only a
//! regular file is used.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::host;

/// The end of the names of what was put aside.
const ASIDE: &str = ".aside";

/// Opens one with these options.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits() as i32).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file")),
    }
}

/// Opens one to write to it, after what is no regular file was put aside.
pub(crate) fn open_in_place(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    clear_place(path)?;
    open(path, options)
}

/// Puts aside what is no regular file.
pub(crate) fn clear_place(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() => put_aside(path),
        _ => Ok(()),
    }
}

/// Gives what has the place of something of gjob's own another name, under which nothing
/// can be yet. It may be anything, and is kept for a while: its user may know what it is.
pub(crate) fn put_aside(path: &Path) -> io::Result<()> {
    std::fs::rename(path, aside(path.as_os_str())?)
}

/// Another name for what has this one.
pub(crate) fn aside(name: &OsStr) -> io::Result<OsString> {
    let mut aside = name.to_owned();
    aside.push(format!(".{}{ASIDE}", host::random_text()?));
    Ok(aside)
}

/// The name that something had before it was put aside; none for another name.
pub(crate) fn name_before(aside: &str) -> Option<&str> {
    aside.strip_suffix(ASIDE)?.rsplit_once('.').map(|(name, _)| name)
}

/// Opens one to read it.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true))
}

/// The first bytes of one, up to `most`.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipe_link_or_directory_in_place_of_a_file_blocks_nothing_and_is_put_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let pipe = |path: &Path| {
            rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o600))
        };
        let append = || OpenOptions::new().append(true).create(true).to_owned();
        let odd: [&dyn Fn(&Path); 3] = [
            &|path| pipe(path).unwrap(),
            &|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
            &|path| std::fs::create_dir(path).unwrap(),
        ];
        for put in odd {
            put(&path);
            assert!(read(&path, 10).is_err());
            assert!(open(&path, &mut append()).is_err());
            open_in_place(&path, &mut append()).unwrap();
            assert_eq!(read(&path, 10).unwrap(), b"");
            std::fs::remove_file(&path).unwrap();
        }
        let names = std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name());
        let before: Vec<_> = names.map(|it| name_before(it.to_str()?).map(String::from)).collect();
        assert_eq!(before, vec![Some("file".to_owned()); 3]);
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"0123");
    }
}
