//! `couplet top`: what a running Couplet does, in the terminal, each second.

mod draw;
mod view;

use std::time::Duration;

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};
use tokio::time::Instant;

use self::view::View;
use super::{Client, EndpointArgs};

/// How often the relays are asked.
const EACH: Duration = Duration::from_secs(1);

/// Watches a running Couplet.
#[derive(Debug, clap::Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    endpoint: EndpointArgs,
}

// ===== impl TopArgs =====

impl TopArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let client = self.endpoint.client()?;
        let mut view = View::default();
        // What is wrong from the start is told on the terminal as it was.
        view.update(&client)?;
        let mut terminal = ratatui::try_init()?;
        let watched = watch(&mut terminal, &client, &mut view);
        ratatui::restore();
        watched
    }
}

fn watch(terminal: &mut DefaultTerminal, client: &Client, view: &mut View) -> anyhow::Result<()> {
    let mut asked = Instant::now();
    loop {
        terminal.draw(|frame| draw::draw(frame, view))?;
        if event::poll(EACH.saturating_sub(asked.elapsed()))? {
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press => {
                    if press(client, view, key) {
                        return Ok(());
                    }
                }
                _ => continue,
            }
        }
        if asked.elapsed() >= EACH || view.is_stale {
            asked = Instant::now();
            // A relay that is restarted is there again a moment later.
            view.told = view.update(client).err().map(|error| format!("{error:#}"));
        }
    }
}

/// Does what a key says. Is it the end?
fn press(client: &Client, view: &mut View, key: KeyEvent) -> bool {
    let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    if interrupt {
        return true;
    }
    if let Some(id) = view.to_cut.take() {
        if key.code == KeyCode::Char('y') {
            view.does(client.change("DELETE", &format!("/v1/pairs/{id}")));
        }
        return false;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('s') => view.next_sort(),
        KeyCode::Up | KeyCode::Char('k') => view.select(-1),
        KeyCode::Down | KeyCode::Char('j') => view.select(1),
        KeyCode::Char('c') => view.to_cut = view.selected_pair(),
        KeyCode::Char('p') => {
            if let Some((name, verb)) = view.pause_or_resume() {
                view.does(client.change("POST", &format!("/v1/relays/{name}/{verb}")));
            }
        }
        _ => {}
    }
    false
}
