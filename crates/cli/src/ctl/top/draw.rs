//! Draws `couplet top`.

use std::time::Duration;

use bytesize::ByteSize;
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Style, Stylize},
    text::Line,
    widgets::{Block, Cell, Paragraph, Row, Table, TableState},
};
use serde_json::Value;

use super::view::View;

pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let relays = u16::try_from(view.relays().len()).unwrap_or(u16::MAX);
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(relays.saturating_add(3).min(12)),
        Constraint::Min(4),
        Constraint::Length(1),
    ]);
    let [head, top, middle, foot] = areas.areas(frame.area());
    frame.render_widget(Paragraph::new(title(view)).bold(), head);
    frame.render_widget(relay_table(view), top);
    let mut state = TableState::default().with_selected(Some(view.selected));
    frame.render_stateful_widget(pair_table(view), middle, &mut state);
    frame.render_widget(Paragraph::new(help(view)), foot);
}

fn title(view: &View) -> String {
    let status = &view.status;
    let up = status["uptime_seconds"].as_f64().unwrap_or(0.0);
    format!(
        "couplet {} · up {} · pid {}",
        status["version"].as_str().unwrap_or("?"),
        time(&up.into()),
        status["pid"]
    )
}

fn relay_table(view: &View) -> Table<'_> {
    let heads = [
        "RELAY", "STATE", "LIVE", "WAITING", "PAIRS", "A TO B", "B TO A",
    ];
    let rows = view.relays().iter().map(|relay| {
        let state = text(&relay["state"]);
        let style = match state.as_str() {
            "ready" => Style::new().green(),
            _ => Style::new().red(),
        };
        Row::new([
            Cell::from(text(&relay["name"])),
            Cell::from(state).style(style),
            Cell::from(relay["live"].to_string()),
            Cell::from(relay["waiting"].to_string()),
            Cell::from(relay["joined"].to_string()),
            Cell::from(bytes(&relay["a_to_b"])),
            Cell::from(bytes(&relay["b_to_a"])),
        ])
    });
    let widths = [20, 10, 8, 8, 10, 10, 10].map(Constraint::Min);
    Table::new(rows, widths)
        .header(Row::new(heads).dim())
        .block(Block::bordered())
}

fn pair_table(view: &View) -> Table<'_> {
    let heads = [
        "PAIR", "RELAY", "A", "B", "AGE", "IDLE", "A TO B", "B TO A", "RATE", "HELD UP",
    ];
    let rows = view.rows().iter().map(|pair| {
        let rate = |way: &str| pair[way]["bytes_per_second"].as_f64().unwrap_or(0.0);
        // Side B holds up what comes from A.
        let held_up = match (
            &pair["a_to_b"]["stalled_seconds"],
            &pair["b_to_a"]["stalled_seconds"],
        ) {
            (Value::Number(_), _) => "by B",
            (_, Value::Number(_)) => "by A",
            _ => "",
        };
        Row::new([
            Cell::from(pair["id"].to_string()),
            Cell::from(text(&pair["relay"])),
            Cell::from(end(&pair["a"])),
            Cell::from(end(&pair["b"])),
            Cell::from(time(&pair["age_seconds"])),
            Cell::from(time(&pair["idle_seconds"])),
            Cell::from(bytes(&pair["a_to_b"]["bytes"])),
            Cell::from(bytes(&pair["b_to_a"]["bytes"])),
            Cell::from(format!(
                "{}/s",
                bytes(&(rate("a_to_b") + rate("b_to_a")).into())
            )),
            Cell::from(held_up).style(Style::new().red()),
        ])
    });
    let widths = [
        Constraint::Length(8),
        Constraint::Max(16),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(11),
        Constraint::Length(7),
    ];
    let total = view.pairs["total"].as_u64().unwrap_or(0);
    let title = format!(" {total} live pairs, by {} ", view.sort());
    Table::new(rows, widths)
        .header(Row::new(heads).dim())
        .row_highlight_style(Style::new().reversed())
        .block(Block::bordered().title(title))
}

fn help(view: &View) -> Line<'_> {
    match (&view.told, view.to_cut) {
        (_, Some(id)) => Line::from(format!("cut pair {id}? y cuts, another key does not")).bold(),
        (Some(told), None) => Line::from(told.as_str()).red(),
        (None, None) => {
            Line::from("q quit · s sort · ↑ ↓ select · c cut · p pause or resume").dim()
        }
    }
}

/// A connection's other end, with its proven identity.
fn end(leg: &Value) -> String {
    let peer = text(&leg["peer"]);
    match leg["identity"].as_str() {
        Some(identity) => format!("{peer} {identity}"),
        None => peer,
    }
}

/// A text of the endpoint's. ratatui draws no control characters.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}

fn bytes(value: &Value) -> String {
    let bytes = value.as_f64().unwrap_or(0.0);
    // What is not finite is 0.
    ByteSize::b(bytes as u64).display().iec().to_string()
}

fn time(seconds: &Value) -> String {
    let seconds = seconds.as_f64().unwrap_or(0.0).max(0.0);
    let whole = Duration::try_from_secs_f64(seconds.floor()).unwrap_or_default();
    let shown = humantime::format_duration(whole).to_string();
    // The two largest units.
    shown.split(' ').take(2).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::json;

    use super::*;

    fn drawn(view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(160, 14)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(160);
        let rows = rows.map(|row| {
            row.iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
        });
        rows.collect::<Vec<_>>().join("\n")
    }

    fn view() -> View {
        View {
            status: json!({"version": "0.1.0", "pid": 7, "uptime_seconds": 3725.5, "relays": [
                {"name": "ssh", "state": "paused", "live": 1, "waiting": 0, "joined": 3, "a_to_b": 2048, "b_to_a": 5},
            ]}),
            pairs: json!({"total": 1, "pairs": [{
                "id": 4711, "relay": "ssh", "age_seconds": 90.2, "idle_seconds": 0.4,
                "a": {"peer": "192.0.2.7:1234", "identity": "alice\u{1b}[2J"},
                "b": {"peer": "[2001:db8::1]:22", "identity": null},
                "a_to_b": {"bytes": 2048, "bytes_per_second": 1024.0, "stalled_seconds": 3.0},
                "b_to_a": {"bytes": 5, "bytes_per_second": 0.0, "stalled_seconds": null},
            }]}),
            ..View::default()
        }
    }

    #[test]
    fn relays_and_pairs_are_drawn_and_no_control_character() {
        let mut view = view();
        let screen = drawn(&view);
        for shown in [
            "couplet 0.1.0 · up 1h2m · pid 7",
            "paused",
            "2.0 KiB",
            "1 live pairs, by rate",
            "4711",
            "192.0.2.7:1234 alice",
            "1m30s",
            "by B",
            "q quit",
        ] {
            assert!(screen.contains(shown), "{shown} is not in\n{screen}");
        }
        assert!(!screen.contains('\u{1b}'));
        view.to_cut = view.selected_pair();
        assert!(drawn(&view).contains("cut pair 4711?"));
        assert_eq!(view.pause_or_resume(), Some(("ssh".to_owned(), "resume")));
        view.told = Some("no answer".to_owned());
        view.to_cut = None;
        assert!(drawn(&view).contains("no answer"));
        // Nothing is known yet.
        assert!(drawn(&View::default()).contains("0 live pairs"));
    }

    #[test]
    fn a_selection_stays_within_the_list() {
        let mut view = view();
        view.select(1);
        view.select(-5);
        assert_eq!(view.selected, 0);
        view.next_sort();
        assert_eq!((view.sort(), view.is_stale), ("bytes", true));
    }
}
