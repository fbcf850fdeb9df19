use super::super::group::sample::row;
use super::*;
use crate::usage::Disposition::{Delivered, Held};
use crate::usage::{Ledger, Place};
use jiff::civil::date;

#[test]
fn the_page_says_what_act_lacks_and_names_are_text() {
    let hostile = "\"><img src=//x onerror=alert(1)><script>";
    let mut rows = vec![row(3, Some("a"), hostile, Delivered, 6), row(5, Some("b"), hostile, Held, 3)];
    rows[0].model = Some(hostile.into());
    rows[1].place = Place { repository: Some(hostile.to_owned()), ..Place::clone(&rows[1].place) }.into();
    let ledger = Ledger { rows, ..Ledger::default() };
    let report =
        Report { days: date(2026, 11, 1)..=date(2026, 11, 5), by: By::Day, alias: Some(hostile), ledger: &ledger };
    let page = page(&report, date(2026, 11, 5), None);
    assert!(page.starts_with(&format!("{}\n<html lang=\"en\">", file::FIRST_LINE)));
    for absent in ["<img", "<script", "http:", "https:", " style=", " src=\"", " href=", " onerror=\"", "url("] {
        assert!(!page.contains(absent), "{absent}");
    }
    let text = "<p>ACT has 6 of 9 points (the single values that Claude Code sends).";
    assert!(page.contains(text) && page.contains("</svg>held</th><td class=\"n\">$3.00</td>"), "{page}");
    assert!(page.contains("<code>act-claude act flush</code>"), "{page}");
    assert!(page.contains("<desc>$9.00 in all; the highest, Tue 3 Nov 2026: $6.00</desc>"), "{page}");
    assert_eq!(page.matches("<table").count(), page.matches("</table>").count());
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn a_page_without_use_says_so() {
    let ledger = Ledger::default();
    let report = Report { days: date(2026, 11, 1)..=date(2026, 11, 5), by: By::Day, alias: None, ledger: &ledger };
    let page = page(&report, date(2026, 11, 5), None);
    assert!(page.contains("<p>No use is noted in these days.</p>") && !page.contains("<svg"), "{page}");
}
