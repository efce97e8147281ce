//! Streams of server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State as Given,
    http::{HeaderMap, StatusCode},
    response::sse::{Event, Sse},
};
use futures::{Stream, StreamExt, stream};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Interval, MissedTickBehavior, interval},
};

use super::{Problem, State};
use crate::{Admin, history::Sample, page, pair_query::PairQuery, view};

type Events = Sse<futures::stream::BoxStream<'static, Result<Event, Infallible>>>;

/// What happens, and each second how it stands.
pub(super) async fn events(
    Given(state): Given<State>,
    headers: HeaderMap,
) -> Result<Events, Problem> {
    let permit = permit(&state.admin)?;
    let admin = state.admin;
    let last = headers.get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok()?.parse().ok());
    let mut last = last.unwrap_or_else(|| admin.0.journal.last());
    let seconds = seconds(permit).flat_map(move |()| {
        let entries = admin.0.journal.after(last);
        last = entries.last().map_or(last, |entry| entry.number);
        let mut events: Vec<_> = entries
            .iter()
            .map(|entry| {
                Event::default()
                    .id(entry.number.to_string())
                    .event(view::kind(entry))
                    .data(view::entry(entry).to_string())
            })
            .collect();
        let summary = summary(&Sample::take(&admin.0.relays)).to_string();
        events.push(Event::default().event("summary").data(summary));
        stream::iter(events.into_iter().map(Ok))
    });
    Ok(Sse::new(seconds.boxed()))
}

fn summary(sample: &Sample) -> serde_json::Value {
    serde_json::json!({
        "live": sample.live,
        "waiting": sample.waiting,
        "joined": sample.joined,
        "refused": sample.refused,
        "a_to_b": sample.a_to_b,
        "b_to_a": sample.b_to_a,
    })
}

/// The page's sections, each second.
pub(super) async fn page(Given(state): Given<State>, query: PairQuery) -> Result<Events, Problem> {
    let permit = permit(&state.admin)?;
    let may_change = state.access.may_change();
    let seconds = seconds(permit).flat_map(move |()| {
        let sections = page::sections(&state.admin, &query, may_change);
        let events = sections.into_iter().map(|(name, html)| {
            // A field of an event is a line.
            Ok(Event::default()
                .event(name)
                .data(html.replace(['\n', '\r'], " ")))
        });
        stream::iter(events.collect::<Vec<_>>())
    });
    Ok(Sse::new(seconds.boxed()))
}

fn permit(admin: &Admin) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = Arc::clone(&admin.0.streams).try_acquire_owned();
    permit.map_err(|_| {
        let detail = "as many event streams run as may: close another page";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

/// One item now and each second, as long as the stream is there.
fn seconds(permit: OwnedSemaphorePermit) -> impl Stream<Item = ()> + Send {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold(
        (seconds, permit),
        |(mut seconds, permit): (Interval, _)| async move {
            seconds.tick().await;
            Some(((), (seconds, permit)))
        },
    )
}
