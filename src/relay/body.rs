//! Reads the body of a request within two bounds: one for each export, and one for all that are being read at the same time.

use std::error::Error;
use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};

/// The largest export, compressed and inflated, in bytes.
pub const LARGEST: usize = 20 * 1024 * 1024;
/// How many bytes all exports that are being read may have together.
const LARGEST_OF_ALL: usize = 4 * LARGEST;

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It is larger than an export may be.
    TooLarge,
    /// There is no memory for it now.
    NoMemory,
    /// It ended too early: the client closed the connection.
    Gone,
    /// It is not framed as HTTP wants it.
    Broken,
    /// It is not valid gzip.
    NotGzip,
    /// It came too slowly.
    Slow,
}

/// How many bytes of bodies are in memory. Shared by all connections.
#[derive(Debug, Default)]
pub struct Budget(AtomicUsize);

/// The bytes of one export. They count in the budget until this is dropped.
#[derive(Debug)]
pub struct Buffer<'a> {
    budget: &'a Budget,
    counted: usize,
    bytes: Vec<u8>,
}

impl<'a> Buffer<'a> {
    /// An empty buffer.
    pub fn new(budget: &'a Budget) -> Self {
        Self { budget, counted: 0, bytes: Vec::new() }
    }

    fn push(&mut self, more: &[u8]) -> Result<(), Unread> {
        if self.bytes.len() + more.len() > LARGEST {
            return Err(Unread::TooLarge);
        }
        self.bytes.try_reserve(more.len()).map_err(|_| Unread::NoMemory)?;
        self.count(more.len())?;
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), Unread> {
        self.counted += more;
        let all = self.budget.0.fetch_add(more, Ordering::Relaxed) + more;
        if all > LARGEST_OF_ALL { Err(Unread::NoMemory) } else { Ok(()) }
    }

    /// Reads a whole body.
    pub async fn read<B>(&mut self, mut body: B, limit: Duration) -> Result<(), Unread>
    where
        B: Body<Data = Bytes, Error: Error + 'static> + Unpin,
    {
        let whole = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| if is_malformed(&error) { Unread::Broken } else { Unread::Gone })?;
                if let Some(data) = frame.data_ref() {
                    self.push(data)?;
                }
            }
            Ok(())
        };
        tokio::time::timeout(limit, whole).await.unwrap_or(Err(Unread::Slow))
    }

    /// The content after gzip decompression.
    pub fn inflate(&self) -> Result<Self, Unread> {
        let mut inflated = Self::new(self.budget);
        let mut decoder = flate2::read::MultiGzDecoder::new(&self.bytes[..]);
        let mut piece = [0; 16 * 1024];
        loop {
            match decoder.read(&mut piece) {
                Ok(0) => return Ok(inflated),
                Ok(count) => inflated.push(&piece[..count])?,
                Err(_) => return Err(Unread::NotGzip),
            }
        }
    }

    /// The bytes. They stay counted as long as the buffer lives.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }
}

/// Whether the bytes that arrived are wrong. Otherwise some did not arrive.
fn is_malformed(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(ErrorKind::InvalidInput | ErrorKind::InvalidData))
    })
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_a_limit_and_all_together_have_one() {
        let budget = Budget::default();
        let whole = vec![b' '; LARGEST];
        let full = || {
            let mut buffer = Buffer::new(&budget);
            buffer.push(&whole).map(|()| buffer)
        };
        let mut buffers: Vec<_> = (0..4).map(|_| full().expect("within the limit")).collect();
        assert_eq!(buffers[0].push(b"x"), Err(Unread::TooLarge));
        assert_eq!(Buffer::new(&budget).push(b"x"), Err(Unread::NoMemory));
        // A buffer whose bytes were taken, to be written to the disk, still counts.
        let taken = buffers[0].take();
        assert_eq!((taken.len(), Buffer::new(&budget).push(b"x")), (LARGEST, Err(Unread::NoMemory)));
        buffers.pop();
        assert_eq!(Buffer::new(&budget).push(b"x"), Ok(()));
        drop(buffers);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }
}
