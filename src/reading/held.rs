//! A kernel file that stays open and is read again and again from its start.
//!
//! Opening a file under `/proc` or `/sys` costs several times what reading it does, and needs a path lookup that can
//! fail when descriptors run out. A held descriptor is read with `pread`: about a microsecond, from any thread at once.
//!
//! A held file keeps meaning what it meant when it was opened: `/proc/self/..` goes on to describe the process that
//! opened it, also in a forked child, and a file of a removed cgroup answers `ENODEV` instead of its last number.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::{pread, retry_on_intr};

/// The least room that [`HeldFile::read_to_vec`] offers the kernel per call: a page, as seq files are made in pages.
const MIN_SPARE_BYTES: usize = 4096;

/// An open file that is read from offset 0 each time.
#[derive(Debug)]
pub(crate) struct HeldFile {
    descriptor: OwnedFd,
}

impl HeldFile {
    /// Opens `path` for reading, closed on `exec`.
    pub(crate) fn open(path: &Path) -> io::Result<HeldFile> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let descriptor = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
        Ok(HeldFile { descriptor })
    }

    /// To poll it, or to name it to the kernel.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Reads until the end of the file or of `buf`, and returns what was read. Never allocates.
    pub(crate) fn read<'b>(&self, buf: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.pread(&mut buf[filled..], filled)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(&buf[..filled])
    }

    /// Reads with a single `pread`. Enough for the kernel's one-number files, which come whole if `buf` has room for
    /// them; spares the second call that [`read`](Self::read) needs to see the end. Never allocates.
    pub(crate) fn read_once<'b>(&self, buf: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let count = self.pread(buf, 0)?;
        Ok(&buf[..count])
    }

    /// Reads the whole file into `bytes`, replacing what was there. Allocates only while `bytes` is still growing to
    /// the size of the file. After an error `bytes` holds the part that could be read.
    pub(crate) fn read_to_vec(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.clear();
        loop {
            bytes.reserve(MIN_SPARE_BYTES);
            let offset = bytes.len() as u64;
            if retry_on_intr(|| pread(&self.descriptor, spare_capacity(bytes), offset))? == 0 {
                return Ok(());
            }
        }
    }

    fn pread(&self, buf: &mut [u8], offset: usize) -> io::Result<usize> {
        Ok(retry_on_intr(|| {
            pread(&self.descriptor, &mut *buf, offset as u64)
        })?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::HeldFile;

    fn held(contents: &[u8]) -> (tempfile::TempDir, HeldFile) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, contents).unwrap();
        let file = HeldFile::open(&path).unwrap();
        (dir, file)
    }

    #[test]
    fn each_reading_starts_over_and_sees_new_contents() {
        let (dir, file) = held(b"4096\n");
        let mut buf = [0; 32];
        assert_eq!(file.read(&mut buf).unwrap(), b"4096\n");
        assert_eq!(file.read_once(&mut buf).unwrap(), b"4096\n");
        fs::write(dir.path().join("file"), b"8\n").unwrap();
        assert_eq!(file.read(&mut buf).unwrap(), b"8\n");
        assert_eq!(file.read_once(&mut buf).unwrap(), b"8\n");
    }

    /// The kernel hands out long files of `/proc` in pieces of about a page.
    #[test]
    fn a_short_read_is_not_the_end() {
        let file = HeldFile::open(Path::new("/proc/self/smaps")).unwrap();
        let mut buf = vec![0; 1 << 20];
        let piece = file.read_once(&mut buf).unwrap().len();
        let whole = file.read(&mut buf).unwrap().len();
        assert!(piece > 0 && whole > piece, "{piece} of {whole} bytes");
    }

    #[test]
    fn a_full_buffer_ends_the_reading() {
        let (_dir, file) = held(b"123456");
        assert_eq!(file.read(&mut [0; 4]).unwrap(), b"1234");
        assert_eq!(file.read(&mut []).unwrap(), b"");
    }

    #[test]
    fn the_vector_is_replaced_and_keeps_its_capacity() {
        let long = vec![b'x'; 20_000];
        let (dir, file) = held(&long);
        let mut bytes = b"old".to_vec();
        file.read_to_vec(&mut bytes).unwrap();
        assert_eq!(bytes, long);

        let capacity = bytes.capacity();
        fs::write(dir.path().join("file"), b"short").unwrap();
        file.read_to_vec(&mut bytes).unwrap();
        assert_eq!(bytes, b"short");
        assert_eq!(bytes.capacity(), capacity);
    }

    #[test]
    fn a_directory_and_a_missing_file_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert!(HeldFile::open(&dir.path().join("missing")).is_err());
        assert!(
            HeldFile::open(dir.path())
                .unwrap()
                .read(&mut [0; 8])
                .is_err()
        );
    }
}
