//! A line for each figure, on a logarithmic scale: each relay is a dot, and the best peer is at one.

use std::fmt::Write;

use super::{Report, numbers::ratio, rows::Row};

const WIDTH: u32 = 860;
/// Where the scale begins and how long it is.
const LEFT: f64 = 330.0;
const LENGTH: f64 = 430.0;
/// The ratios at both its ends; what is beyond them is drawn there.
const LEAST: f64 = 0.2;
const MOST: f64 = 8.0;
/// The ratios that are written at it.
const MARKS: [f64; 6] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0];
const LINE: u32 = 20;
const TOP: u32 = 78;

/// Readable on a light and on a dark ground. Ours are blue: filled, and for one thread a ring; peers
/// are grey, and told apart by their shape and by what a pointer shows.
const STYLE: &str = "\
.ground{fill:#fff}.text{fill:#222}.faint{fill:#6a6a6a}.grid{stroke:#e2e2e2}.one{stroke:#555}\
.ours{fill:#1f6fd0;stroke:#1f6fd0}.peer{fill:#9a9a9a;stroke:#9a9a9a}.ring{fill:none}\
.better{fill:#1f6fd0;opacity:.06}\
@media(prefers-color-scheme:dark){.ground{fill:#161b22}.text{fill:#e6e6e6}.faint{fill:#9aa0a6}\
.grid{stroke:#30363d}.one{stroke:#b0b0b0}.ours{fill:#6cb0ff;stroke:#6cb0ff}\
.peer{fill:#7d8590;stroke:#7d8590}.better{fill:#6cb0ff;opacity:.08}.ring{fill:none}}";

// ===== impl Report =====

impl Report {
    /// The chart, as SVG.
    pub(crate) fn chart(&self) -> String {
        let rows: Vec<_> = self
            .rows()
            .filter(|row| row.metric.is_charted() && row.best_peer.is_some())
            .collect();
        let height = TOP + LINE * u32::try_from(rows.len()).unwrap_or(0) + 10;
        let mut lines = String::new();
        for (row, top) in rows.iter().zip((TOP..).step_by(LINE as usize)) {
            self.line(&mut lines, row, top);
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
             <title>{title}: each relay in terms of the best peer, left is better</title>\n\
             <style>{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" class=\"ground\"/>\n\
             <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\" class=\"text\">{title}: \
             in terms of the best peer, left is better</text>\n\
             {}{}{lines}</svg>\n",
            self.key(),
            scale(height),
            title = escaped(self.title()),
        )
    }

    fn key(&self) -> String {
        let mut text = String::new();
        let mut left = 18;
        for (index, relay) in self.relays.iter().enumerate() {
            self.dot(&mut text, index, f64::from(left), 42.0);
            let _ = writeln!(
                text,
                "<text x=\"{}\" y=\"46\" class=\"text\">{}</text>",
                left + 9,
                escaped(relay.title)
            );
            left += 26 + 6 * u32::try_from(relay.title.chars().count()).unwrap_or(0);
        }
        text
    }

    /// The dots of a row, and what is the best of ours in numbers.
    fn line(&self, text: &mut String, row: &Row<'_>, top: u32) {
        let middle = f64::from(top) + 0.5 * f64::from(LINE);
        let label = format!("{}: {}", row.column.title, row.metric.unit());
        let _ = writeln!(
            text,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" class=\"text\">{}</text>",
            LEFT - 12.0,
            middle + 4.0,
            escaped(&label)
        );
        // Ours last, so that they are on top.
        let (ours, peers): (Vec<_>, Vec<_>) =
            (0..self.relays.len()).partition(|&relay| self.relays[relay].ours);
        let mut said = Vec::new();
        for relay in peers.into_iter().chain(ours) {
            let Some(value) = row.ratio(relay) else {
                continue;
            };
            self.dot(text, relay, place(value), middle);
            if self.relays[relay].ours {
                said.push(ratio(value));
            }
        }
        let _ = writeln!(
            text,
            "<text x=\"{:.0}\" y=\"{:.1}\" class=\"text\">{}</text>",
            LEFT + LENGTH + 14.0,
            middle + 4.0,
            said.join("  ")
        );
    }

    fn dot(&self, text: &mut String, relay: usize, x: f64, y: f64) {
        let about = &self.relays[relay];
        let nth = self.relays[..relay]
            .iter()
            .filter(|other| other.ours == about.ours)
            .count();
        let shape = match (about.ours, nth) {
            (true, 0) => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" class=\"ours\">"),
            (true, _) => format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.2\" class=\"ours ring\" \
                 stroke-width=\"1.8\">"
            ),
            (false, nth) => format!(
                "<path d=\"M{x:.1} {y:.1}{}\" class=\"peer{}\" stroke-width=\"1.4\">",
                ["m-4-4h8v8h-8z", "m0-5l5 9h-10z", "m0-5l5 5l-5 5l-5-5z"][nth % 3],
                if nth / 3 % 2 == 1 { " ring" } else { "" },
            ),
        };
        let tag = if about.ours { "circle" } else { "path" };
        let _ = writeln!(
            text,
            "{shape}<title>{}</title></{tag}>",
            escaped(about.title)
        );
    }
}

/// The scale, from the key to the foot.
fn scale(height: u32) -> String {
    let (top, foot) = (TOP - 6, height - 8);
    let mut text = format!(
        "<rect x=\"{LEFT:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\" class=\"better\"/>\n",
        place(1.0) - LEFT,
        foot - top
    );
    for mark in MARKS {
        let (x, class) = (place(mark), if mark == 1.0 { "one" } else { "grid" });
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{foot}\" class=\"{class}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" class=\"faint\">{mark}</text>",
            top - 5
        );
    }
    text
}

/// Where a ratio is on the scale.
fn place(ratio: f64) -> f64 {
    let part = (ratio.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln();
    LEFT + LENGTH * part
}

fn escaped(text: impl AsRef<str>) -> String {
    text.as_ref()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn there_is_a_dot_for_each_figure_that_can_be_compared() {
        let chart = sample().chart();
        assert!(chart.starts_with("<svg ") && chart.ends_with("</svg>\n"));
        assert!(chart.contains("so&lt;cat"));
        // In the key, and one in each of the two rows; two peers in the key and the first row, one in
        // the other.
        assert_eq!(chart.matches("<circle").count(), 3);
        assert_eq!(chart.matches("<path").count(), 5);
        assert!(chart.contains(">0.50<") && chart.contains(">0.17<"));
    }

    #[test]
    fn the_scale_is_logarithmic_and_has_ends() {
        let (half, one, two) = (place(0.5), place(1.0), place(2.0));
        assert!((one - half - (two - one)).abs() < 1e-9);
        assert_eq!((place(0.001), place(100.0)), (LEFT, LEFT + LENGTH));
    }
}
