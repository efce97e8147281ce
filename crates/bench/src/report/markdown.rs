//! The tables, aligned so that they can be read as they are.

use std::fmt::Write;

use super::{
    Report,
    numbers::{number, ratio},
    rows::Row,
};
use crate::{
    metric::{Better, Section},
    subject::Subject,
};

// ===== impl Report =====

impl Report {
    /// The tables alone.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        for section in Section::ALL {
            let rows: Vec<_> = self
                .rows()
                .filter(|row| row.metric.section() == section)
                .collect();
            if !rows.is_empty() {
                let _ = write!(
                    text,
                    "## {}\n\n{}\n\n{}\n",
                    section.title(),
                    section.note(),
                    self.table(&rows)
                );
            }
        }
        text
    }

    /// A whole document.
    pub(crate) fn markdown(&self) -> String {
        format!(
            "# {}\n\n\
             {} do the same work on the same machine, in turn. \
             Compare the ratios: absolute figures differ between machines and between runs.\n\n\
             ![Figures of each relay divided by those of the best peer]({}.svg)\n\n\
             {}{}\n{}## How it was measured\n\n{}",
            self.title(),
            self.subject.compared(),
            self.subject.file(self.veth),
            self.others(),
            self.legend(),
            self.tables(),
            self.method()
        )
    }

    pub(super) fn title(&self) -> String {
        let of = self.subject.title();
        match self.veth {
            true => format!("{of}, between network namespaces"),
            false => of.to_owned(),
        }
    }

    /// Where the other pages are, on the first.
    fn others(&self) -> &'static str {
        match (self.subject, self.veth) {
            (Subject::Relays, false) => {
                "[Between network namespaces](performance-veth.md), [in TLS](performance-tls.md), \
                 [beside many idle pairs](performance-growth.md), [what layers \
                 cost](performance-layers.md), [many pairs over one connection](performance-mux.md), \
                 [by other programs](performance-programs.md).\n\n"
            }
            _ => "",
        }
    }

    fn legend(&self) -> String {
        let among_others = match self.subject {
            Subject::Relays | Subject::Growth => {
                " HAProxy and nginx run with one thread, unless the column says otherwise: compare \
                 them with *Couplet, 1 thread*. Only Couplet joins two clients that both connect. \
                 socat forks for each connection, so socat is left out where there are many."
            }
            Subject::Tls => {
                " HAProxy and nginx run with one thread: compare them with *Couplet, 1 thread*."
            }
            Subject::Layers | Subject::Mux => "",
        };
        format!(
            "A cell is the median of the rounds ± half the range between the lowest and the \
             highest round. The best figure of a line is **bold**, and a dash means that there is \
             no figure. A column with ÷ is Couplet's figure divided by that of the best peer, \
             which the last column names.{among_others}\n"
        )
    }

    fn method(&self) -> String {
        let asked = &self.asked;
        let commit = asked.commit.as_ref();
        let commit = commit.map_or(String::new(), |commit| format!(", at commit {commit}"));
        let mut text = format!(
            "`{}` on {}{commit}; rounds: {}; {}.\n\n",
            asked.command, asked.date, asked.rounds, asked.machine
        );
        for relay in &self.relays {
            let _ = writeln!(text, "- {}: {}.", relay.title, relay.about);
        }
        for missing in &self.missing {
            let _ = writeln!(text, "- {} was left out: {}.", missing.name, missing.why);
        }
        let mut failures = self.failures.clone();
        failures.sort_unstable();
        failures.dedup();
        for (column, relay) in failures {
            let _ = writeln!(text, "- {relay} failed at {column}.");
        }
        text.push_str(
            "\nClients and backend are one process on the same machine. All sockets, also those of \
             the relays, have `TCP_NODELAY`, and no relay writes a log. For each cell the relay is \
             started anew and warmed up with a part of the work. `crates/bench/README.md` \
             describes the work.\n",
        );
        text
    }

    fn table(&self, rows: &[Row<'_>]) -> String {
        let ours: Vec<_> = (0..self.relays.len())
            .filter(|&relay| self.relays[relay].ours)
            .collect();
        let compared = !ours.is_empty() && ours.len() < self.relays.len();
        let title = |relay: usize| self.relays[relay].title.to_owned();
        let mut head = vec![String::new()];
        head.extend((0..self.relays.len()).map(title));
        if compared {
            head.extend(ours.iter().map(|&ours| format!("{} ÷", title(ours))));
            head.push("best peer".to_owned());
        }
        let mut lines = vec![head];
        for row in rows {
            let mut line = vec![format!("{}: {}", row.column.title, row.metric.unit())];
            line.extend((0..self.relays.len()).map(|relay| cell(row, relay)));
            if compared {
                let ratios = ours.iter().map(|&ours| row.ratio(ours).map(ratio));
                let peer = row.best_peer.map(title);
                line.extend(
                    ratios
                        .chain([peer])
                        .map(|cell| cell.unwrap_or("–".to_owned())),
                );
            }
            lines.push(line);
        }
        align(&lines)
    }
}

fn cell(row: &Row<'_>, relay: usize) -> String {
    let Some(stat) = row.stats[relay] else {
        return "–".to_owned();
    };
    let median = match row.best == Some(relay) && row.metric.better() != Better::Neither {
        true => format!("**{}**", number(stat.median)),
        false => number(stat.median),
    };
    match stat.spread() {
        Some(spread) if spread >= 0.5 => format!("{median} ±{spread:.0} %"),
        _ => median,
    }
}

/// A table whose first line is its head.
pub(crate) fn align(lines: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<_> = (0..columns)
        .map(|column| {
            let cells = lines.iter().map(|line| width(&line[column]));
            cells.max().unwrap_or(0).max(3)
        })
        .collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (cell, wanted) in line.iter().zip(&widths) {
            let padding = " ".repeat(wanted - width(cell));
            let _ = write!(text, "| {cell}{padding} ");
        }
        text.push_str("|\n");
        if index == 0 {
            for wanted in &widths {
                let _ = write!(text, "|{}", "-".repeat(wanted + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::report::tests::sample;

    #[test]
    fn tables_are_aligned_as_plain_text() {
        let tables = sample().tables();
        let expected = "\
|                             | Couplet   | nginx     | so<cat | Couplet ÷ | best peer |
|-----------------------------|-----------|-----------|--------|-----------|-----------|
| bulk, 1 connection: s/GiB   | **0.100** | 0.200 ±5 % | 1.00   | 0.50      | nginx     |
";
        let squeeze = |text: &str| text.replace([' ', '-'], "");
        assert!(
            squeeze(&tables).contains(&squeeze(expected)),
            "{tables}\n{expected}"
        );
        let widths: Vec<_> = tables
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.chars().count())
            .collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{tables}");
        assert!(tables.contains("## What pairs hold"));
        assert!(!tables.contains("## Latency"));
    }

    #[test]
    fn the_report_names_machine_date_and_command() {
        let text = sample().markdown();
        for part in [
            "`the-command --rounds 2` on 2026-01-31, at commit abc1234; rounds: 2; ",
            "- Couplet: Couplet 1.0.",
            "- haproxy-splice was left out: it is not installed.",
            "- socat failed at idle.",
            "](performance.svg)",
            "| 0.17      | nginx     |",
        ] {
            assert!(text.contains(part), "`{part}` is not in\n{text}");
        }
    }
}
