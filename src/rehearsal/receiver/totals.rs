//! Counts all that a receiver received, and shows it in one line.

use std::collections::BTreeSet;

use super::answer::Answer;
use super::event::Export;

/// Counts of exports and data points.
#[derive(Debug, Default)]
pub struct Totals {
    accepted: u64,
    partial: u64,
    refused: u64,
    unanswered: u64,
    points: u64,
    aliases: BTreeSet<String>,
}

impl Totals {
    /// Counts one export.
    pub fn add(&mut self, export: &Export) {
        match export.answer {
            Answer::Accepted => self.accepted += 1,
            Answer::Partial { .. } => self.partial += 1,
            Answer::Refused(_) => self.refused += 1,
            Answer::Silence => self.unanswered += 1,
        }
        self.points += export.answer.accepted_points(export.points());
        self.aliases.extend(export.alias.clone());
    }

    /// The counts as a line, for example `3 exports under 2 aliases: 2 accepted, 1 refused; 12 points accepted`. It has no line
    /// break.
    pub fn line(&self) -> String {
        let exports = self.accepted + self.partial + self.refused + self.unanswered;
        if exports == 0 {
            return "no export arrived".to_owned();
        }
        let outcomes = [
            (self.accepted, "accepted"),
            (self.partial, "accepted in part"),
            (self.refused, "refused"),
            (self.unanswered, "not answered"),
        ];
        let outcomes: Vec<String> =
            outcomes.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        let aliases = match self.aliases.len() as u64 {
            0 => "no alias".to_owned(),
            1 => "1 alias".to_owned(),
            count => format!("{count} aliases"),
        };
        let plural = |count: u64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        format!(
            "{} under {aliases}: {}; {} accepted",
            plural(exports, "export"),
            outcomes.join(", "),
            plural(self.points, "point")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::receiver::answer::Refusal;
    use crate::rehearsal::receiver::log_line::sample;

    #[test]
    fn one_line() {
        let mut totals = Totals::default();
        assert_eq!(totals.line(), "no export arrived");
        totals.add(&sample::export(Answer::Accepted));
        assert_eq!(totals.line(), "1 export under 1 alias: 1 accepted; 8 points accepted");
        let mut other = sample::export(Answer::Refused(Refusal::unauthorized("x")));
        other.alias = Some("b1".to_owned());
        totals.add(&other);
        totals.add(&sample::export(Answer::Partial { rejected: 7, message: String::new() }));
        totals.add(&sample::export(Answer::Silence));
        assert_eq!(
            totals.line(),
            "4 exports under 2 aliases: 1 accepted, 1 accepted in part, 1 refused, 1 not answered; 9 points accepted"
        );
    }
}
