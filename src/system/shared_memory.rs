//! Memory that outlives the process that writes it. It is shared with processes that are forked after it was made, or, through a
//! descriptor, with processes that are executed.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::libc;

/// A mapping. Its beginning is used as atomic numbers, the rest as bytes. Pages that nobody has written cost nothing.
#[derive(Debug)]
pub struct SharedMemory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the numbers are atomic; bytes are copied in and out, and the code that uses this type orders that by the numbers.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

/// How many bytes at the beginning hold numbers.
const NUMBERS: usize = 4096;

impl SharedMemory {
    /// Memory that is shared only with processes that this one forks.
    pub fn new(length: usize) -> io::Result<Self> {
        Self::map(length, libc::MAP_ANON | libc::MAP_NORESERVE, -1)
    }

    /// The memory behind a descriptor that [`descriptor`] made.
    pub fn of(descriptor: &OwnedFd, length: usize) -> io::Result<Self> {
        Self::map(length, 0, descriptor.as_raw_fd())
    }

    fn map(length: usize, flags: libc::c_int, descriptor: RawFd) -> io::Result<Self> {
        let length = length.max(NUMBERS);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the system's choice.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED | flags, descriptor, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { start, length })
    }

    /// One of the numbers.
    pub fn number(&self, index: usize) -> &AtomicU64 {
        assert!(index < NUMBERS / size_of::<u64>(), "a number's index");
        // SAFETY: inside the mapping, which is page-aligned and lives as long as this value; the memory is zero at first.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().cast::<u64>().add(index)) }
    }

    /// Copies bytes to `offset`; false where there is no room for them.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let is_inside = offset >= NUMBERS && offset.checked_add(bytes.len()).is_some_and(|end| end <= self.length);
        if is_inside {
            // SAFETY: inside the mapping; the source is no part of it.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(offset), bytes.len()) };
        }
        is_inside
    }

    /// A copy of the bytes at `offset`; empty where they are not inside the mapping.
    pub fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        if offset < NUMBERS || offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Vec::new();
        }
        let mut bytes = vec![0; length];
        // SAFETY: inside the mapping; the target is no part of it.
        unsafe { std::ptr::copy_nonoverlapping(self.start.as_ptr().add(offset), bytes.as_mut_ptr(), length) };
        bytes
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: `map` made this mapping, and it is removed once.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// A close-on-exec descriptor of new memory. Seals prevent that anyone makes it smaller while others use it.
#[cfg(target_os = "linux")]
pub fn descriptor(length: usize) -> io::Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let descriptor = memfd_create(c"act-claude", flags)?;
    nix::unistd::ftruncate(&descriptor, length.try_into().map_err(io::Error::other)?)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&descriptor, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(descriptor)
}

/// On other systems it is a file without a name.
#[cfg(not(target_os = "linux"))]
pub fn descriptor(length: usize) -> io::Result<OwnedFd> {
    let file = tempfile::tempfile()?;
    file.set_len(length as u64)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn what_one_mapping_writes_another_reads() {
        let descriptor = descriptor(1 << 20).unwrap();
        let [one, other] = [(); 2].map(|()| SharedMemory::of(&descriptor, 1 << 20).unwrap());
        one.number(7).store(1 << 40, Ordering::Release);
        assert!(one.write(5000, b"kept"));
        assert_eq!((other.number(7).load(Ordering::Acquire), other.read(5000, 4)), (1 << 40, b"kept".to_vec()));
        assert!(nix::unistd::ftruncate(&descriptor, 0).is_err() || cfg!(not(target_os = "linux")), "sealed");
    }

    #[test]
    fn nothing_is_written_or_read_outside() {
        let memory = SharedMemory::new(8192).unwrap();
        assert!(memory.write(8188, b"last") && !memory.write(8189, b"last"));
        assert!(!memory.write(0, b"a number") && !memory.write(usize::MAX, b"far"));
        assert_eq!(memory.read(8188, 4), b"last");
        assert!(
            memory.read(8189, 4).is_empty() && memory.read(0, 4).is_empty() && memory.read(usize::MAX, 4).is_empty()
        );
    }
}
