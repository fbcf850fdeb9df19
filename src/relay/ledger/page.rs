//! The part of a locked book that one ledger counts.

use std::ops::Deref;
use std::sync::MutexGuard;

use super::Book;

/// The locked book; of copies, the part of it that is about them.
pub(super) struct Page<'a> {
    pub(super) whole: MutexGuard<'a, Book>,
    pub(super) destination: Option<&'a str>,
}

impl Deref for Page<'_> {
    type Target = Book;

    fn deref(&self) -> &Book {
        let part = self.destination.and_then(|destination| self.whole.copies.get(destination));
        part.unwrap_or(&self.whole)
    }
}
