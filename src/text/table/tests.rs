//! Tables at different widths.

use super::*;
use crate::text::page::DIM;

fn table() -> Table<3> {
    let mut table = Table::new([words("Alias"), numbers("Exports"), words("Used in")]);
    table.row(true, [cell("billing"), cell("14"), cell("~/work, all other directories")]);
    table.row(false, [cell("web"), cell(""), cell("~/work/web")]);
    table
}

fn plain(table: &Table<3>, width: usize) -> String {
    anstream::adapter::strip_str(&table.text(width)).to_string()
}

#[test]
fn columns_are_as_wide_as_their_content() {
    let wide = "  Alias    Exports  Used in
* billing       14  ~/work, all other directories
  web            -  ~/work/web
";
    for width in [49, 80, 200, usize::MAX] {
        assert_eq!(plain(&table(), width), wide, "{width}");
    }
}

#[test]
fn the_last_column_is_wrapped_and_then_each_value_has_its_line() {
    let wrapped = "  Alias    Exports  Used in
* billing       14  ~/work, all
                    other
                    directories
  web            -  ~/work/web
";
    assert_eq!(plain(&table(), 36), wrapped);
    let stacked = "\
* Alias: billing
  Exports: 14
  Used in: ~/work,
    all other
    directories

Alias: web
  Used in:
    ~/work/web
";
    let narrow = plain(&table(), 20);
    assert_eq!(narrow, stacked);
}

#[test]
fn no_line_is_wider_than_the_page() {
    let mut table = table();
    table.heading("Tue 24 Nov 2026");
    table.row(false, [cell("a b c d e f g h"), cell("7"), cell("one two three four five")]);
    table.below(styled("more words below a row, which go on and on", DIM));
    for width in 20..200 {
        let text = plain(&table, width);
        let widest = text.lines().map(columns).max().unwrap();
        assert!(widest <= width, "{width}:\n{text}");
    }
}

#[test]
fn what_is_longer_than_a_line_stays_whole() {
    let mut table = Table::new([words("Alias"), words("Id"), words("Used in")]);
    let id = "2b1c5a0e-3a51-4f4e-9a39-6a7f5a6a2c11";
    table.row(false, [cell("billing"), cell(id), cell("~/work")]);
    let text = plain(&table, 20);
    assert!(text.contains(id) && text.lines().all(|line| columns(line) <= 20 || line.contains(id)), "{text}");
}

#[test]
fn wide_and_combining_characters_keep_the_columns() {
    let mut table = Table::new([words("Alias"), numbers("Exports"), words("Used in")]);
    for name in ["日本", "e\u{301}te", "abcd", "עברית"] {
        table.row(false, [cell(name), cell("1"), cell("~")]);
    }
    let text = plain(&table, 80);
    let places: Vec<usize> = text.lines().skip(1).map(|line| columns(line.split_once(" 1").unwrap().0)).collect();
    assert_eq!(places, [12; 4], "{text}");
}

#[test]
fn nothing_in_a_value_can_steer_the_terminal() {
    let mut table = table();
    table.row(false, [cell("\u{1b}[2Jx\nnext"), cell("\u{202e}1"), cell("\u{200b}")]);
    let text = plain(&table, 80);
    assert!(text.ends_with("\\u{1b}[2Jx\\nnext  \\u{202e}1  \\u{200b}\n"), "{text}");
}

#[test]
fn no_rows_no_header() {
    assert_eq!(plain(&Table::new([words("a"), words("b"), words("c")]), 80), "");
}

#[test]
fn rows_stand_under_their_headings() {
    let mut table = Table::new([words("Time"), words("Alias"), numbers("Exports")]);
    for (heading, time) in [("Tue 24 Nov 2026", "18:02"), ("Mon 23 Nov 2026", "09:00")] {
        table.heading(heading);
        table.row(false, [cell(time), cell("billing"), cell("1")]);
        table.below(cell("~/work"));
    }
    let wide = "\
Time   Alias    Exports
Tue 24 Nov 2026
18:02  billing        1
       ~/work

Mon 23 Nov 2026
09:00  billing        1
       ~/work
";
    assert_eq!(plain(&table, 80), wide);
    let narrow = "\
Tue 24 Nov 2026
Time: 18:02
  Alias: billing
  Exports: 1
  ~/work

Mon 23 Nov 2026
Time: 09:00
  Alias: billing
  Exports: 1
  ~/work
";
    assert_eq!(plain(&table, 22), narrow);
}

#[test]
fn a_row_goes_on_below_a_name_that_is_too_long() {
    let mut table = Table::new([words("Time"), words("Alias").narrowed(), numbers("Exports")]);
    table.row(false, [cell("18:02"), cell("a-name-of-more-than-20"), cell("1")]);
    table.row(false, [cell("18:03"), cell("billing"), cell("2")]);
    let wide = "\
Time   Alias                   Exports
18:02  a-name-of-more-than-20        1
18:03  billing                       2
";
    assert_eq!(plain(&table, 38), wide);
    let narrow = "\
Time   Alias             Exports
18:02  a-name-of-more-than-20
                               1
18:03  billing                 2
";
    assert_eq!(plain(&table, 32), narrow);
    assert!(plain(&table, 31).starts_with("Time: 18:02\n  Alias:\n    a-name-of"));
}

/// The standard library's formatting panics with a width of more than 65,535.
#[test]
fn a_cell_of_any_length_is_shown() {
    let mut table = table();
    table.row(false, [cell("x".repeat(70_000)), cell("1".repeat(70_000)), cell("y")]);
    for width in [80, 200_000, usize::MAX] {
        assert!(plain(&table, width).contains(&"x".repeat(50)), "{width}");
    }
}
