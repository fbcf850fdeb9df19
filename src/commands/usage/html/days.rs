//! The cost over days, stacked by alias: a picture, and a table that says the same (pure).

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use jiff::civil::Date;

use super::markup::{escaped, money};
use super::tables::{key, named};
use crate::commands::usage::group::{By, Key, groups};
use crate::commands::usage::range::Unit;
use crate::commands::usage::report::Report;
use crate::text::amount::{dollars, grouped};

/// As many aliases have a colour of their own. The others share the last one.
const COLOURED: usize = 7;
/// The picture's width.
const WIDTH: f64 = 640.0;
/// The left end of the bars.
const LEFT: f64 = 56.0;
/// The upper end of the highest bar.
const TOP: f64 = 12.0;
/// The lower end of the bars.
const BOTTOM: f64 = 200.0;
/// The picture's height.
const HEIGHT: f64 = 226.0;
/// The room for the name of a day.
const NAME: f64 = 56.0;
/// How many names of days have room below the bars.
const NAMES: usize = 7;

/// The costs of the parts of a calendar, by alias.
struct Costs {
    unit: Unit,
    /// The names, the most expensive first.
    aliases: Vec<String>,
    /// For each first day the cost of each alias.
    days: BTreeMap<Date, Vec<f64>>,
}

/// The section; empty where nothing cost anything.
pub fn section(report: &Report<'_>) -> String {
    let costs = Costs::of(report);
    let highest = costs.days.values().map(|costs| costs.iter().sum()).fold(0.0, f64::max);
    if highest <= 0.0 {
        return String::new();
    }
    let unit = costs.unit.word();
    let mut text = format!("<h2>Cost by {unit}</h2>\n<figure>\n<ul class=\"legend\">\n");
    for (colour, alias) in costs.aliases.iter().enumerate() {
        let _ = writeln!(text, "<li>{}{}</li>", key(colour), escaped(alias));
    }
    let _ = writeln!(
        text,
        "</ul>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Cost by {unit}, picture\">"
    );
    text.push_str(&costs.picture(highest));
    let _ = writeln!(text, "</div>\n</figure>\n<details>\n<summary>The same as a table</summary>");
    text.push_str(&costs.table());
    text + "</details>\n"
}

impl Costs {
    fn of(report: &Report<'_>) -> Self {
        let (unit, first) = report.calendar(&report.days);
        let groups = groups(&report.ledger.rows, By::Alias);
        let index: HashMap<Key<'_>, usize> =
            groups.iter().enumerate().map(|(index, group)| (group.key, index.min(COLOURED))).collect();
        let name = |key| named(By::Alias, key);
        let mut aliases: Vec<String> = groups.iter().take(COLOURED).map(|group| name(group.key)).collect();
        match &groups[aliases.len()..] {
            [] => {}
            [only] => aliases.push(name(only.key)),
            others => aliases.push(format!("{} others", others.len())),
        }
        let mut days: BTreeMap<Date, Vec<f64>> =
            first.into_iter().map(|first| (first, vec![0.0; aliases.len()])).collect();
        for row in &report.ledger.rows {
            let costs = days.entry(unit.first_of(row.day)).or_insert_with(|| vec![0.0; aliases.len()]);
            costs[index[&By::Alias.key(row)]] += row.measured.cost_usd.max(0.0);
        }
        Self { unit, aliases, days }
    }

    fn picture(&self, highest: f64) -> String {
        let unit = self.unit.word();
        let mut text = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>Cost by {unit}, stacked by alias</title>\
             <desc>{}</desc>\n",
            escaped(&self.summary())
        );
        let step = step_of(highest);
        let top = (highest / step).ceil() * step;
        let y = |cost: f64| BOTTOM - cost / top * (BOTTOM - TOP);
        for index in 0..=(top / step).round() as usize {
            let cost = index as f64 * step;
            let _ = writeln!(
                text,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{x}\" y=\"{below:.1}\" \
                 text-anchor=\"end\">{}</text>",
                // Round steps have no cents.
                if step < 1.0 { money(cost) } else { format!("${}", grouped(cost as u64)) },
                y = y(cost),
                x = LEFT - 6.0,
                below = y(cost) + 4.0,
            );
        }
        let width = (WIDTH - LEFT) / self.days.len() as f64;
        let every = self.days.len().div_ceil(NAMES);
        for (index, (first, costs)) in self.days.iter().enumerate() {
            let x = LEFT + width * (index as f64 + 0.1);
            let mut below = 0.0;
            for (colour, cost) in costs.iter().enumerate().filter(|(_, cost)| **cost > 0.0) {
                let said = format!("{}, {}: {}", self.unit.name(*first), self.aliases[colour], dollars(*cost));
                let _ = writeln!(
                    text,
                    "<rect class=\"c{colour}\" x=\"{x:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\"><title>{}</title></rect>",
                    y(below + cost),
                    (width * 0.8).min(60.0),
                    y(below) - y(below + cost),
                    escaped(&said),
                );
                below += cost;
            }
            if index % every == 0 {
                let name = self.unit.short_name(*first);
                // The name of the last bar would go beyond the picture.
                let (x, anchor) = if x + NAME > WIDTH { (x + width * 0.8, "end") } else { (x, "start") };
                let _ =
                    writeln!(text, "<text x=\"{x:.2}\" y=\"{}\" text-anchor=\"{anchor}\">{name}</text>", BOTTOM + 16.0);
            }
        }
        text + "</svg>\n"
    }

    /// The picture in a sentence.
    fn summary(&self) -> String {
        let total = |costs: &[f64]| costs.iter().sum::<f64>();
        let all: f64 = self.days.values().map(|costs| total(costs)).sum();
        let highest = self.days.iter().max_by(|(_, a), (_, b)| total(a).total_cmp(&total(b)));
        let highest = highest
            .map(|(first, costs)| format!("; the highest, {}: {}", self.unit.name(*first), dollars(total(costs))));
        format!("{} in all{}", dollars(all), highest.unwrap_or_default())
    }

    fn table(&self) -> String {
        let unit = self.unit.word();
        let mut text = format!(
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Cost by {unit}, table\">\n<table>\n<thead><tr>"
        );
        let title = format!("{}{}", unit[..1].to_uppercase(), &unit[1..]);
        let _ = write!(text, "<th scope=\"col\">{title}</th><th scope=\"col\" class=\"n\">Cost</th>");
        for alias in &self.aliases {
            let _ = write!(text, "<th scope=\"col\" class=\"n\">{}</th>", escaped(alias));
        }
        text.push_str("</tr></thead>\n<tbody>\n");
        for (first, costs) in &self.days {
            let name = self.unit.name(*first);
            let _ = write!(text, "<tr><th scope=\"row\">{name}</th><td class=\"n\">{}</td>", money(costs.iter().sum()));
            for cost in costs {
                let _ = write!(text, "<td class=\"n\">{}</td>", money(*cost));
            }
            text.push_str("</tr>\n");
        }
        text + "</tbody>\n</table>\n</div>\n"
    }
}

/// The distance of two lines of the grid: 1, 2 or 5 times a power of ten, at most five of them.
fn step_of(highest: f64) -> f64 {
    let power = 10_f64.powf((highest / 5.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| step * 5.0 >= highest).unwrap_or(highest)
}

#[cfg(test)]
mod tests {
    use super::step_of;

    #[test]
    fn the_grid_has_few_round_lines() {
        for (highest, step) in [(25.23, 10.0), (5.0, 1.0), (0.5, 0.1), (9.0, 2.0), (1_200.0, 500.0)] {
            assert!((step_of(highest) - step).abs() < 1e-9, "{highest}: {}", step_of(highest));
        }
    }
}
