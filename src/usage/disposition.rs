//! What became of data points (pure).

use serde::{Deserialize, Serialize};

use crate::state::outcome::State;

/// What became of an export's data points: the states of an export, and one more for what the user gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// ACT has them.
    Delivered,
    /// ACT has them, but for the rejected ones.
    Partial,
    /// They are tried again.
    Waiting,
    /// They are not decided yet.
    UnderWay,
    /// They are kept until the user corrects something.
    Held,
    /// ACT answered 2xx with a body that is not an OTLP answer; they are kept.
    NotUnderstood,
    /// ACT will never accept them; they are in the dead letters.
    Rejected,
    /// They are neither stored nor delivered.
    Lost,
    /// The user deleted them: `act flush --discard`.
    Discarded,
    /// They are not on this machine any more, and it is not known what ACT answered.
    NotObserved,
}

impl Disposition {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Delivered,
        Self::Partial,
        Self::Waiting,
        Self::UnderWay,
        Self::Held,
        Self::NotUnderstood,
        Self::Rejected,
        Self::Lost,
        Self::Discarded,
        Self::NotObserved,
    ];

    /// Whether ACT has decided, or the user.
    pub fn is_decided(self) -> bool {
        matches!(self, Self::Delivered | Self::Partial | Self::Rejected | Self::Discarded)
    }

    /// What holds after one note about an export and a later one. What ACT has decided stays, whatever became of the file: another
    /// process may have sent it.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        if self.is_decided() && !later.is_decided() { self } else { later }
    }

    /// Whether ACT has the points, the rejected ones among them excepted.
    pub fn is_with_act(self) -> bool {
        matches!(self, Self::Delivered | Self::Partial)
    }

    /// Whether they are on this machine, and may still be delivered.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Waiting | Self::UnderWay | Self::Held | Self::NotUnderstood)
    }

    /// In one or two words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Partial => "partial",
            Self::Waiting => "waiting",
            Self::UnderWay => "under way",
            Self::Held => "held",
            Self::NotUnderstood => "not understood",
            Self::Rejected => "rejected",
            Self::Lost => "lost",
            Self::Discarded => "discarded",
            Self::NotObserved => "not observed",
        }
    }
}

impl From<State> for Disposition {
    fn from(state: State) -> Self {
        match state {
            State::Delivered => Self::Delivered,
            State::Partial => Self::Partial,
            State::Waiting => Self::Waiting,
            State::UnderWay => Self::UnderWay,
            State::Held => Self::Held,
            State::NotUnderstood => Self::NotUnderstood,
            State::Rejected => Self::Rejected,
            State::Lost => Self::Lost,
            State::NothingSent | State::NotObserved => Self::NotObserved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_act_has_decided_stays() {
        use Disposition::{Delivered, Discarded, Lost, Rejected, Waiting};
        for (earlier, later, holds) in [
            (Waiting, Delivered, Delivered),
            (Lost, Waiting, Waiting),
            (Waiting, Lost, Lost),
            (Lost, Delivered, Delivered),
            (Delivered, Lost, Delivered),
            (Discarded, Lost, Discarded),
            (Rejected, Delivered, Delivered),
        ] {
            assert_eq!(earlier.then(later), holds, "{earlier:?} {later:?}");
        }
    }
}
