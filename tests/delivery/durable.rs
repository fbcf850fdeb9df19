//! B1: acknowledged means durable.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use act_claude::state::spool::disk::Disk;
use act_claude::state::spool::{Header, Limits, NotStored, Spool, Store, entry};

/// A file system that keeps synced data and loses the rest on a power failure. It has two states: the one that programs
/// see, and the durable one.
#[derive(Default)]
struct VolatileDisk {
    seen: RefCell<BTreeMap<PathBuf, usize>>,
    durable: RefCell<BTreeMap<PathBuf, usize>>,
    /// By inode.
    inodes: RefCell<Vec<Content>>,
    /// The power fails before this operation; with `fails_only` only the operation fails.
    left: Cell<usize>,
    fails_only: Cell<bool>,
    full: Cell<bool>,
}

/// A file's content: what was written, and how many bytes of it are durable.
#[derive(Default)]
struct Content {
    written: Vec<u8>,
    durable: Vec<u8>,
}

impl VolatileDisk {
    fn step(&self) -> io::Result<()> {
        if self.left.get() == 0 {
            if self.fails_only.get() {
                self.left.set(usize::MAX);
            }
            return Err(io::Error::from(nix::errno::Errno::EIO));
        }
        self.left.set(self.left.get() - 1);
        Ok(())
    }

    /// The file's content after the power failure.
    fn after_crash(&self, path: &Path) -> Option<Vec<u8>> {
        let inode = *self.durable.borrow().get(path)?;
        Some(self.inodes.borrow()[inode].durable.clone())
    }
}

impl Disk for &VolatileDisk {
    type File = usize;

    fn make_directory(&self, _: &Path) -> io::Result<()> {
        self.step()
    }

    fn create(&self, path: &Path) -> io::Result<usize> {
        self.step()?;
        let inode = self.inodes.borrow().len();
        // Its metadata may become durable before its content: then the file exists and is empty.
        self.inodes.borrow_mut().push(Content::default());
        self.seen.borrow_mut().insert(path.to_owned(), inode);
        Ok(inode)
    }

    fn write(&self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        self.inodes.borrow_mut()[*file].written.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        self.step()?;
        let mut inodes = self.inodes.borrow_mut();
        inodes[*file].durable = inodes[*file].written.clone();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let mut seen = self.seen.borrow_mut();
        let inode = seen.remove(from).ok_or(nix::errno::Errno::ENOENT)?;
        seen.insert(to.to_owned(), inode);
        Ok(())
    }

    fn link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        unreachable!("no copies here")
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        let seen = self.seen.borrow();
        let mut durable = self.durable.borrow_mut();
        durable.retain(|entry, _| entry.parent() != Some(path));
        durable.extend(seen.iter().filter(|(entry, _)| entry.parent() == Some(path)).map(|(a, b)| (a.clone(), *b)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.seen.borrow_mut().remove(path);
        Ok(())
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(if self.full.get() { 1 } else { 1 << 40 })
    }
}

fn header(sequence: u64) -> Header {
    Header {
        session: "s".to_owned(),
        sequence,
        alias: "billing".to_owned(),
        account: "acme".to_owned(),
        endpoint: "https://act.example/m".to_owned(),
        user: "u@x".to_owned(),
        points: 1,
        captured: jiff::Timestamp::UNIX_EPOCH,
        shared: None,
    }
}

#[test]
fn b1_acknowledged_means_durable() {
    let spool = Spool::of(Path::new("/nowhere"));
    let mut acknowledged_at = None;
    for crash in 0..40 {
        for fails_only in [false, true] {
            let disk = VolatileDisk::default();
            disk.left.set(crash);
            disk.fails_only.set(fails_only);
            let store = Store::new(spool.clone(), &disk, Limits::default());
            let stored = store.append(&header(0), b"{\"first\":1}");
            let path = spool.queue().join("s-00000000");
            match stored {
                Ok(()) => {
                    acknowledged_at.get_or_insert(crash);
                    let bytes = disk.after_crash(&path).unwrap_or_else(|| panic!("crash before step {crash}: gone"));
                    let (read, body) = entry::read(&bytes).unwrap_or_else(|_| panic!("crash before {crash}: torn"));
                    assert_eq!((read, &bytes[body..]), (header(0), &b"{\"first\":1}"[..]));
                }
                // The export was not stored: no file may be left that could be delivered a second time.
                Err(_) => assert!(!disk.seen.borrow().contains_key(&path), "failure at step {crash}: left behind"),
            }
        }
    }
    assert!(acknowledged_at.is_some_and(|steps| steps > 10), "the steps were counted: {acknowledged_at:?}");
}

#[test]
fn b10_a_nearly_full_disk_stores_nothing() {
    let disk = VolatileDisk::default();
    disk.left.set(usize::MAX);
    disk.full.set(true);
    let store = Store::new(Spool::of(Path::new("/nowhere")), &disk, Limits::default());
    assert!(matches!(store.append(&header(0), b"{}"), Err(NotStored::NoRoom)));
    assert!(disk.seen.borrow().is_empty());
}
