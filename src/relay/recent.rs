//! Recognises an export that claude sends again, among the latest ones.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::book::{ExportDigest, REMEMBERED};

/// What became of an export that claude may send again.
#[derive(Debug, Clone)]
pub enum EarlierExport {
    /// It is stored. When it comes again, it is answered and not counted again.
    Stored,
    /// It is not stored. Its number; and whether ACT has accepted it, `None` as long as that is not known.
    Unstored(u64, watch::Receiver<Option<bool>>),
}

impl EarlierExport {
    /// An export that was neither stored nor accepted by ACT.
    pub fn lost(sequence: u64) -> Self {
        Self::Unstored(sequence, watch::channel(Some(false)).1)
    }
}

/// The latest exports, by the SHA-256 of their bytes.
#[derive(Debug)]
pub struct RecentExports(VecDeque<([u8; 32], EarlierExport)>);

impl RecentExports {
    /// The latest exports of an earlier relay, each with whether it is stored. One that is not stored was refused.
    pub fn of(known: Vec<(ExportDigest, bool)>) -> Self {
        let exports = known.into_iter().filter_map(|(known, is_stored)| {
            let export = if is_stored { EarlierExport::Stored } else { EarlierExport::lost(known.sequence) };
            Some((known.bytes()?, export))
        });
        Self(exports.collect())
    }

    /// The earlier export with this digest.
    pub fn find(&self, digest: &[u8; 32]) -> Option<EarlierExport> {
        self.0.iter().find(|(known, _)| known == digest).map(|(_, earlier)| earlier.clone())
    }

    /// Adds an export, in place of an earlier one with the same digest. The oldest one is forgotten where there are too many.
    pub fn add(&mut self, digest: [u8; 32], export: EarlierExport) {
        self.0.retain(|(known, _)| *known != digest);
        self.0.push_back((digest, export));
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_export_with_a_digest_is_found_and_the_oldest_are_forgotten() {
        let known = |digit: &str, sequence| ExportDigest { sequence, digest: digit.repeat(64) };
        let mut recent = RecentExports::of(vec![(known("1", 7), false), (known("2", 8), true), (known("x", 9), true)]);
        assert!(
            matches!(recent.find(&[0x11; 32]), Some(EarlierExport::Unstored(7, accepted)) if *accepted.borrow() == Some(false))
        );
        assert!(matches!(recent.find(&[0x22; 32]), Some(EarlierExport::Stored)));
        assert_eq!(recent.0.len(), 2, "a digest that can't be read is left out");
        recent.add([0x11; 32], EarlierExport::Stored);
        assert!(matches!(recent.find(&[0x11; 32]), Some(EarlierExport::Stored)));
        for number in 0..REMEMBERED as u8 {
            recent.add([number; 32], EarlierExport::Stored);
        }
        assert_eq!(recent.0.len(), REMEMBERED);
        assert!(recent.find(&[0; 32]).is_some());
        recent.add([0xff; 32], EarlierExport::Stored);
        assert!(recent.find(&[0; 32]).is_none());
    }
}
