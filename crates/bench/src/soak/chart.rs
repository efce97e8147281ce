//! What the relays held, over time.

use std::fmt::Write;

use super::watch::Sample;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
/// The height of one of the charts, and what is between them.
const HEIGHT: f64 = 110.0;
const GAP: f64 = 46.0;
const TOP: f64 = 50.0;

type Figure = (&'static str, &'static str, fn(&Sample) -> f64);

const FIGURES: [Figure; 3] = [
    ("memory of all relays, MiB", "#0b3c6f", |sample| {
        sample.resident as f64 / f64::from(1 << 20)
    }),
    ("descriptors of all relays", "#e69f00", |sample| {
        sample.descriptors as f64
    }),
    (
        "tasks of the relay that can be asked",
        "#009e73",
        |sample| sample.tasks as f64,
    ),
];

/// One chart below the other, as SVG.
pub(super) fn chart(samples: &[Sample]) -> String {
    let height = TOP + FIGURES.len() as f64 * (HEIGHT + GAP);
    let last = samples
        .last()
        .map_or(1.0, |sample| sample.at.as_secs_f64())
        .max(0.001);
    let connections = samples.last().map_or(0, |sample| sample.connections);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <title>What relays hold during a long run</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{} connections in {:.0} \
         minutes</text>\n",
        crate::report::number(connections as f64),
        last / 60.0
    );
    for (nth, (title, colour, figure)) in FIGURES.iter().enumerate() {
        let top = TOP + nth as f64 * (HEIGHT + GAP);
        let most = samples.iter().map(figure).fold(1.0, f64::max) * 1.1;
        let x = |sample: &Sample| LEFT + sample.at.as_secs_f64() / last * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| top + HEIGHT * (1.0 - value / most);
        let points: Vec<_> = samples
            .iter()
            .map(|sample| format!("{:.1},{:.1}", x(sample), y(figure(sample))))
            .collect();
        for part in [0.0, 0.5, 1.0] {
            let value = most * part;
            let _ = writeln!(
                text,
                "<line x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{1}\" y2=\"{0:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
                y(value),
                WIDTH - RIGHT,
                LEFT - 8.0,
                y(value) + 4.0,
                crate::report::number(value.round())
            );
        }
        let _ = writeln!(
            text,
            "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{title}</text>\n\
             <polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
            top - 8.0,
            points.join(" ")
        );
    }
    text + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn there_is_a_line_for_each_figure() {
        let sample = |at| Sample {
            at: Duration::from_secs(at),
            connections: 10 * at,
            resident: 1 << 20,
            descriptors: 7,
            tasks: 3,
        };
        for samples in [vec![], vec![sample(0)], (0..60).map(sample).collect()] {
            let chart = chart(&samples);
            assert!(chart.starts_with("<svg ") && chart.ends_with("</svg>\n"));
            assert_eq!(chart.matches("<polyline").count(), 3);
            assert!(!chart.contains("NaN"), "{chart}");
        }
    }
}
