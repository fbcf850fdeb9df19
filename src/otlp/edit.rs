//! Replaces parts of a text, with a limit on the result.

/// Why there is no changed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoResult {
    /// It would be larger than it may be.
    TooLarge,
    /// There is no memory for it.
    NoMemory,
}

/// A text and the changes made to it so far, which go from its start to its end. Nothing is copied before the first change.
pub struct Edited<'a> {
    text: &'a str,
    /// How much of the text is processed.
    done: usize,
    result: String,
    is_changed: bool,
    largest: usize,
}

impl<'a> Edited<'a> {
    /// The unchanged text. The result may have `largest` bytes.
    pub fn new(text: &'a str, largest: usize) -> Self {
        Self { text, done: 0, result: String::new(), is_changed: false, largest }
    }

    /// Replaces `part`, a slice of the text after all earlier changes, by `new`.
    pub fn replace(&mut self, part: &'a str, new: &str) -> Result<(), NoResult> {
        let start = self.offset(part);
        self.replace_range(start, start + part.len(), new)
    }

    /// Replaces the part between two offsets, after all earlier changes.
    pub fn replace_range(&mut self, start: usize, end: usize, new: &str) -> Result<(), NoResult> {
        if !self.is_changed {
            // This is enough where little is added.
            let likely = self.text.len() + self.text.len() / 8 + new.len();
            self.result.try_reserve_exact(likely.min(self.largest)).map_err(|_| NoResult::NoMemory)?;
            self.is_changed = true;
        }
        self.push(&self.text[self.done..start])?;
        self.push(new)?;
        self.done = end;
        Ok(())
    }

    /// Where a slice of the text begins.
    pub fn offset(&self, part: &str) -> usize {
        part.as_ptr() as usize - self.text.as_ptr() as usize
    }

    /// The changed text; `None` where nothing was changed.
    pub fn finish(mut self) -> Result<Option<String>, NoResult> {
        if !self.is_changed {
            return Ok(None);
        }
        self.push(&self.text[self.done..])?;
        Ok(Some(self.result))
    }

    fn push(&mut self, more: &str) -> Result<(), NoResult> {
        if self.result.len() + more.len() > self.largest {
            return Err(NoResult::TooLarge);
        }
        self.result.try_reserve(more.len()).map_err(|_| NoResult::NoMemory)?;
        self.result.push_str(more);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_replaced_in_order_and_within_the_bound() {
        let text = "one two three";
        let edited = |largest: usize| {
            let mut edited = Edited::new(text, largest);
            edited.replace(&text[4..7], "2")?;
            edited.replace(&text[8..], "drei!")?;
            edited.finish()
        };
        assert_eq!(edited(11), Ok(Some("one 2 drei!".to_owned())));
        assert_eq!(edited(10), Err(NoResult::TooLarge));
        assert_eq!(Edited::new(text, 0).finish(), Ok(None), "unchanged is never too large");
    }
}
