//! A bar for each relay in each column: how its figure compares with the best peer's.

use std::fmt::Write;

use super::{Report, numbers::ratio, rows::Row};
use crate::relays;

const WIDTH: u32 = 860;
/// Where bars begin.
const LEFT: u32 = 300;
/// How long a ratio of one is.
const ONE: f64 = 120.0;
/// Beyond that, a bar is cut off.
const MOST: f64 = 4.0;
const BAR: u32 = 11;
const GAP: u32 = 14;
const TOP: u32 = 74;

/// Colours that are told apart without telling red from green; ours are the blues.
const COLOURS: [&str; relays::NAMES.len()] = [
    "#0b3c6f", "#4a7db3", "#e69f00", "#f3d37a", "#b36b00", "#009e73", "#66c2a5", "#bbbbbb",
    "#cc79a7",
];

// ===== impl Report =====

impl Report {
    /// The chart, as SVG.
    pub(crate) fn chart(&self) -> String {
        let rows: Vec<_> = self
            .rows()
            .filter(|row| row.metric.is_charted() && row.best_peer.is_some())
            .collect();
        let mut bars = String::new();
        let mut top = TOP;
        for row in &rows {
            top = self.group(&mut bars, row, top) + GAP;
        }
        let one = f64::from(LEFT) + ONE;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{top}\" \
             viewBox=\"0 0 {WIDTH} {top}\" font-family=\"sans-serif\" font-size=\"11\">\n\
             <title>Each relay's figures in terms of the best peer's; less is better</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">\
             In terms of the best peer’s figure; shorter is better</text>\n\
             {}{bars}\
             <line x1=\"{one}\" y1=\"{}\" x2=\"{one}\" y2=\"{}\" stroke=\"#444\" \
             stroke-dasharray=\"3 3\"/>\n</svg>\n",
            self.key(),
            TOP - 8,
            top - GAP + 4,
        )
    }

    fn key(&self) -> String {
        let mut text = String::new();
        let mut left = 12;
        for (relay, colour) in self.relays.iter().zip(COLOURS) {
            let _ = writeln!(
                text,
                "<rect x=\"{left}\" y=\"36\" width=\"11\" height=\"11\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"46\">{}</text>",
                left + 16,
                escaped(relay.title)
            );
            left += 36 + 7 * relay.title.chars().count();
        }
        text
    }

    /// The bars of a row; returns where they end.
    fn group(&self, text: &mut String, row: &Row<'_>, mut top: u32) -> u32 {
        let label = format!("{}: {}", row.column.title, row.metric.unit());
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 10,
            top + BAR - 1,
            escaped(&label)
        );
        for (index, colour) in COLOURS.iter().enumerate().take(self.relays.len()) {
            let Some(value) = row.ratio(index) else {
                continue;
            };
            let length = value.min(MOST) * ONE;
            let beyond = if value > MOST { " →" } else { "" };
            let weight = match self.relays[index].ours {
                true => " font-weight=\"bold\"",
                false => "",
            };
            let _ = writeln!(
                text,
                "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"{}\" \
                 fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\" font-size=\"9\"{weight}>{}{beyond}\
                 </text>",
                BAR - 1,
                f64::from(LEFT) + length + 4.0,
                top + BAR - 2,
                ratio(value)
            );
            top += BAR;
        }
        top
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use crate::report::tests::sample;

    #[test]
    fn there_is_a_bar_for_each_figure_that_can_be_compared() {
        let chart = sample().chart();
        assert!(chart.starts_with("<svg ") && chart.ends_with("</svg>\n"));
        assert!(chart.contains("so&lt;cat"));
        // Three relays in the one row and two in the other; the key; the ground.
        assert_eq!(chart.matches("<rect").count(), 3 + 2 + 3 + 1);
        // Half of the best peer's, and what is cut off.
        assert!(chart.contains("width=\"60.0\"") && chart.contains("5.00 →"));
    }
}
