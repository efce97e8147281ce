//! The data that `couplet top` shows.

use serde_json::Value;

use super::super::Client;

const SORTS: [&str; 5] = ["rate", "bytes", "age", "idle", "stall"];

/// What is shown.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) status: Value,
    pub(super) pairs: Value,
    pub(super) sort_number: usize,
    pub(super) selected: usize,
    /// The number of a pair that is to be cut, if the answer is yes.
    pub(super) to_cut: Option<u64>,
    /// What went wrong.
    pub(super) told: Option<String>,
    /// Something was changed: what is shown is old.
    pub(super) is_stale: bool,
}

// ===== impl View =====

impl View {
    pub(super) fn update(&mut self, client: &Client) -> anyhow::Result<()> {
        let ask = |path: &str| -> anyhow::Result<Value> {
            Ok(serde_json::from_str(
                &client.get(path, "application/json")?,
            )?)
        };
        self.is_stale = false;
        self.status = ask("/v1/status")?;
        self.pairs = ask(&format!("/v1/pairs?limit=200&sort={}", self.sort()))?;
        self.selected = self.selected.min(self.rows().len().saturating_sub(1));
        Ok(())
    }

    pub(super) fn sort(&self) -> &'static str {
        SORTS[self.sort_number % SORTS.len()]
    }

    pub(super) fn next_sort(&mut self) {
        self.sort_number += 1;
        self.is_stale = true;
    }

    pub(super) fn rows(&self) -> &[Value] {
        self.pairs["pairs"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(super) fn relays(&self) -> &[Value] {
        self.status["relays"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(super) fn select(&mut self, by: isize) {
        let last = self.rows().len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }

    pub(super) fn selected_pair(&self) -> Option<u64> {
        self.rows().get(self.selected)?["id"].as_u64()
    }

    /// The relay of the selected pair, or the first, and what would change its state.
    pub(super) fn pause_or_resume(&self) -> Option<(String, &'static str)> {
        let selected = self.rows().get(self.selected);
        let name = match selected {
            Some(pair) => &pair["relay"],
            None => &self.relays().first()?["name"],
        };
        let mut relays = self.relays().iter();
        let relay = relays.find(|relay| relay["name"] == *name)?;
        let verb = if relay["state"] == "paused" {
            "resume"
        } else {
            "pause"
        };
        Some((name.as_str()?.to_owned(), verb))
    }

    /// Takes down how a change went.
    pub(super) fn does(&mut self, change: anyhow::Result<Value>) {
        self.told = change.err().map(|error| format!("{error:#}"));
        self.is_stale = self.told.is_none();
    }
}
