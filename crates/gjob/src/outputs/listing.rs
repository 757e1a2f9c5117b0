//! The list of the files that have come of one job: kept in memory while it is
//! short and in an unnamed file when not, so that many long ones fill none.

use std::io::{self, BufRead, BufReader, Read, Seek, Write};

use gjob_core::wire::BlobHash;
use tempfile::SpooledTempFile;

use super::OutputFile;

/// A list longer than this is kept in a file, bytes.
const IN_MEMORY: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Listing {
    spool: SpooledTempFile,
    files: u64,
}

impl Default for Listing {
    fn default() -> Self {
        Listing { spool: SpooledTempFile::new(IN_MEMORY), files: 0 }
    }
}

impl Listing {
    pub(super) fn add(&mut self, file: &OutputFile) -> io::Result<()> {
        let OutputFile { path, size, hash, mode } = file;
        let mut entry = Vec::with_capacity(path.len() + 64);
        entry.extend((path.len() as u32).to_le_bytes());
        entry.extend(path.as_bytes());
        entry.extend(size.to_le_bytes());
        entry.extend(mode.to_le_bytes());
        entry.extend(hash.0);
        self.files += 1;
        self.spool.write_all(&entry)
    }

    pub(super) fn files(&self) -> u64 {
        self.files
    }

    /// The list as it was added.
    pub(crate) fn read(mut self) -> io::Result<Vec<OutputFile>> {
        self.spool.rewind()?;
        let mut reader = BufReader::new(self.spool);
        let mut files = Vec::new();
        while !reader.fill_buf()?.is_empty() {
            let mut path = vec![0; u32::from_le_bytes(bytes(&mut reader)?) as usize];
            reader.read_exact(&mut path)?;
            files.push(OutputFile {
                path: String::from_utf8(path).map_err(io::Error::other)?,
                size: u64::from_le_bytes(bytes(&mut reader)?),
                mode: u32::from_le_bytes(bytes(&mut reader)?),
                hash: BlobHash(bytes(&mut reader)?),
            });
        }
        Ok(files)
    }
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_reads_back_as_it_was_added() {
        let file = |n: u32| OutputFile {
            path: format!("d/{n}"),
            size: u64::from(n),
            hash: BlobHash([n as u8; 32]),
            mode: 0o644,
        };
        let files: Vec<_> = (0..5000).map(file).collect();
        let mut listing = Listing::default();
        files.iter().for_each(|file| listing.add(file).unwrap());
        assert_eq!(listing.files(), 5000);
        assert_eq!(listing.read().unwrap(), files);
    }
}
