//! `POST /v1/reload`: from the endpoint to the relays and back.

use couplet_admin::{ReloadRefused, Reloaded};
use serde_json::{Value, json};
use tokio::sync::{
    mpsc::{Sender, error::TrySendError},
    oneshot,
};

use crate::{
    config::count,
    mistake::{Mistake, Mistakes},
    service::changes::{Changes, Request},
};

/// Asks for a reload, and waits for its outcome.
pub(crate) async fn ask(ask: Sender<Request>) -> Result<Reloaded, ReloadRefused> {
    let (reply, outcome) = oneshot::channel();
    let busy = |why: &str| ReloadRefused::Busy(why.to_owned());
    ask.try_send(reply).map_err(|error| match error {
        TrySendError::Full(_) => busy("another reload is at work"),
        TrySendError::Closed(_) => busy("the process drains"),
    })?;
    match outcome.await {
        Ok(Ok(changes)) => Ok(told(&changes)),
        Ok(Err(mistakes)) => Err(ReloadRefused::Wrong {
            text: text(&mistakes),
            mistakes: mistakes.iter().map(json_of).collect(),
        }),
        Err(_) => Err(busy("the process drains")),
    }
}

fn told(changes: &Changes) -> Reloaded {
    json!({
        "generation": changes.generation,
        "changed": changes.changed,
        "added": changes.added,
        "gone": changes.gone,
        "same": changes.same,
    })
}

/// All mistakes, for people.
pub(crate) fn text(mistakes: &Mistakes) -> String {
    let all: Vec<_> = mistakes
        .iter()
        .map(|mistake| format!("{mistake:#}\n"))
        .collect();
    format!(
        "{}\n{}: nothing has changed",
        all.join("\n"),
        count(mistakes)
    )
}

pub(crate) fn json_of(mistake: &Mistake) -> Value {
    let position = mistake.position();
    json!({
        "file": position.map(|position| &position.file),
        "line": position.map(|position| position.line),
        "column": position.map(|position| position.column),
        "message": mistake.message(),
        "hint": mistake.hint(),
    })
}
