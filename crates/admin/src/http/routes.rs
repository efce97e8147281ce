use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{OriginalUri, State as Given},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use couplet_connector::{
    Side,
    pairing::{CloseReason, Session, SessionId},
};
use serde_json::{Value, json};

use super::{
    Problem, State,
    query::{Fields, ListQuery, MetricsQuery, ReadyQuery, Segment, id},
};
use crate::{
    Relay,
    journal::{Entry, KEPT},
    metrics, page,
    pair_query::PairQuery,
    reload::ReloadRefused,
    view,
};

/// Where there is no reload.
const NO_FILE: &str =
    "this program has no configuration to be read again: it is not `couplet run FILE`";

/// How long a drain that is asked for here may take, unless a time is given.
const GRACE: Duration = Duration::from_secs(30);

pub(super) async fn page(
    Given(state): Given<State>,
    headers: HeaderMap,
    OriginalUri(original): OriginalUri,
    uri: Uri,
    query: PairQuery,
) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    if !accept.is_some_and(|accept| accept.contains("text/html")) {
        return page::text(&state.admin).into_response();
    }
    let base = base(original.path(), uri.path());
    let html = page::html(&state.admin, &query, &base, state.access.may_change());
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

/// What the router is nested in, with a slash behind.
fn base(original: &str, own: &str) -> String {
    let prefix = original.strip_suffix(own).unwrap_or(original);
    format!("{}/", prefix.trim_end_matches('/'))
}

pub(super) async fn live() -> &'static str {
    "live\n"
}

pub(super) async fn ready(
    Given(state): Given<State>,
    query: ReadyQuery,
) -> Result<Response, Problem> {
    let relays = named(&state, query.relay.as_deref())?;
    let reasons: serde_json::Map<String, Value> = relays
        .iter()
        .filter_map(|relay| Some((relay.name().to_owned(), not_ready(relay, &query)?.into())))
        .collect();
    let mut ready = reasons.is_empty();
    let mut body = json!({"not_ready": reasons});
    let degraded: serde_json::Map<String, Value> = relays
        .iter()
        .filter_map(|relay| Some((relay.name().to_owned(), relay.degraded()?.into())))
        .collect();
    if !degraded.is_empty() {
        body["degraded"] = degraded.into();
    }
    if let Some(wanted) = query.generation {
        let Some(told) = state.admin.0.reloads.known() else {
            return Err(Problem::bad_request(NO_FILE));
        };
        ready &= told.generation >= wanted;
        body["generation"] = told.generation.into();
        if told.generation < wanted {
            let why = told
                .failure
                .map(|why| format!("; the last reload changed nothing: {why}"));
            let runs = format!("generation {} runs, {wanted} is asked for", told.generation);
            body["detail"] = (runs + &why.unwrap_or_default()).into();
        }
    }
    body["ready"] = ready.into();
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok((status, Json(body)).into_response())
}

fn not_ready(relay: &Relay, query: &ReadyQuery) -> Option<&'static str> {
    let all_down = |side| query.targets && relay.all_targets_down(side);
    relay
        .not_ready()
        .or_else(|| match (all_down(Side::A), all_down(Side::B)) {
            (true, _) => Some("no target of side a is up"),
            (_, true) => Some("no target of side b is up"),
            _ => None,
        })
}

pub(super) async fn metrics(
    Given(state): Given<State>,
    headers: HeaderMap,
    query: MetricsQuery,
) -> Result<Response, Problem> {
    named(&state, query.relay.as_deref())?;
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let format = metrics::Format::of_accept(accept.unwrap_or_default());
    let text = metrics::text(&state.admin, format, &query.selection);
    Ok(([(header::CONTENT_TYPE, format.content_type())], text).into_response())
}

pub(super) async fn status(Given(state): Given<State>) -> Json<Value> {
    Json(view::status(&state.admin))
}

pub(super) async fn relays(Given(state): Given<State>) -> Json<Value> {
    let relays = state.admin.relays();
    Json(relays.iter().map(|relay| view::relay(relay)).collect())
}

pub(super) async fn relay(
    Given(state): Given<State>,
    Segment(name): Segment,
) -> Result<Json<Value>, Problem> {
    Ok(Json(view::relay(&*one(&state, &name)?)))
}

// ===== pairs =====

pub(super) async fn pairs(
    Given(state): Given<State>,
    headers: HeaderMap,
    query: PairQuery,
) -> Result<Response, Problem> {
    named(&state, query.relay.as_deref())?;
    let (pairs, total) = view::pairs(&state.admin, &query);
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/plain")) {
        return Ok(page::pairs_text(&pairs).into_response());
    }
    let pairs: Vec<_> = pairs.iter().map(view::PairView::json).collect();
    Ok(Json(json!({"total": total, "pairs": pairs})).into_response())
}

pub(super) async fn pair(
    Given(state): Given<State>,
    Segment(number): Segment,
) -> Result<Json<Value>, Problem> {
    let number = id(&number)?;
    let (relay, session) = find(&state, number)?;
    let rate = relay.rates.of(&relay.handle().sessions());
    let sessions = relay.handle().sessions();
    let at = sessions.iter().position(|other| other.id() == number);
    let rate = at.and_then(|at| rate.get(at).copied()).unwrap_or_default();
    let pair = view::PairView {
        relay,
        session,
        rate,
    };
    Ok(Json(pair.json()))
}

pub(super) async fn cut(
    Given(state): Given<State>,
    Segment(number): Segment,
) -> Result<Json<Value>, Problem> {
    let (relay, session) = find(&state, id(&number)?)?;
    session.close(CloseReason::Closed);
    tracing::info!(
        relay = relay.name(),
        session = session.id().get(),
        "cut by the admin endpoint"
    );
    Ok(Json(json!({"cut": 1})))
}

pub(super) async fn cut_many(
    Given(state): Given<State>,
    query: PairQuery,
) -> Result<Json<Value>, Problem> {
    if query.limit.is_some() || query.after.is_some() {
        return Err(Problem::bad_request(
            "`limit` and `after` don't choose pairs to be cut",
        ));
    }
    if !query.filters() && !query.all {
        let detail = "a filter chooses the pairs to be cut; `all=true` means all";
        return Err(Problem::bad_request(detail));
    }
    named(&state, query.relay.as_deref())?;
    let pairs = view::chosen(&state.admin, &query);
    for pair in &pairs {
        pair.session.close(CloseReason::Closed);
    }
    tracing::info!(count = pairs.len(), "cut by the admin endpoint");
    Ok(Json(json!({"cut": pairs.len()})))
}

pub(super) fn find(state: &State, number: SessionId) -> Result<(Arc<Relay>, Session), Problem> {
    let found = state.admin.relays().into_iter().find_map(|relay| {
        let session = relay.handle().session(number)?;
        Some((relay, session))
    });
    found.ok_or_else(|| Problem::not_found(format!("pair {number} is not live")))
}

// ===== a relay's life =====

pub(super) async fn pause(
    Given(state): Given<State>,
    Segment(name): Segment,
) -> Result<Json<Value>, Problem> {
    let relay = one(&state, &name)?;
    relay.handle().pause();
    tracing::info!(relay = %relay.name(), "paused by the admin endpoint");
    Ok(told(&relay))
}

pub(super) async fn resume(
    Given(state): Given<State>,
    Segment(name): Segment,
) -> Result<Json<Value>, Problem> {
    let relay = one(&state, &name)?;
    relay.handle().resume();
    tracing::info!(relay = %relay.name(), "resumed by the admin endpoint");
    Ok(told(&relay))
}

pub(super) async fn drain(
    Given(state): Given<State>,
    Segment(name): Segment,
) -> Result<Json<Value>, Problem> {
    let relay = one(&state, &name)?;
    if relay.handle().is_draining() {
        let detail = format!("`{name}` drains already");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let draining = Arc::clone(&relay);
    tracing::info!(relay = %relay.name(), "drained by the admin endpoint");
    tokio::spawn(async move { draining.handle().shutdown(GRACE).await });
    Ok(Json(json!({"name": relay.name(), "state": "draining"})))
}

pub(super) async fn faults(
    Given(state): Given<State>,
    Segment(name): Segment,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let relay = one(&state, &name)?;
    let on = match fields.only("on")?.as_deref() {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(Problem::bad_request("`on` is `true` or `false`")),
    };
    let Some(faults) = &relay.faults else {
        let detail = format!("`{name}` has no faults to be switched");
        return Err(Problem::not_found(detail));
    };
    (faults.set)(on);
    tracing::info!(
        relay = relay.name(),
        "faults {} by the admin endpoint",
        if on { "on" } else { "off" }
    );
    Ok(Json(
        json!({"name": relay.name(), "faults": (faults.are_on)()}),
    ))
}

fn told(relay: &Relay) -> Json<Value> {
    let state = relay.not_ready().unwrap_or("ready");
    Json(json!({"name": relay.name(), "state": state}))
}

pub(super) async fn reload(Given(state): Given<State>) -> Result<Json<Value>, Problem> {
    let Some(reload) = state.admin.0.reloads.reload() else {
        return Err(Problem::not_found(NO_FILE));
    };
    match reload.await {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(ReloadRefused::Busy(why)) => Err(Problem::new(StatusCode::CONFLICT, why)),
        Err(ReloadRefused::Wrong { text, mistakes }) => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text);
            Err(problem.with_errors(mistakes))
        }
    }
}

// ===== what waits, and what happened =====

pub(super) async fn waiting(
    Given(state): Given<State>,
    query: ListQuery,
) -> Result<Json<Value>, Problem> {
    let limit = query.limit.unwrap_or(KEPT);
    let relays = named(&state, query.relay.as_deref())?;
    let waiting = relays.iter().flat_map(|relay| {
        let list = relay.waiting.list(limit);
        list.into_iter().map(|one| view::waiting(relay, &one))
    });
    Ok(Json(waiting.take(limit).collect()))
}

pub(super) async fn ended(
    Given(state): Given<State>,
    query: ListQuery,
) -> Result<Json<Value>, Problem> {
    named(&state, query.relay.as_deref())?;
    Ok(told_of(state.admin.0.journal.ended(), &query))
}

pub(super) async fn refused(
    Given(state): Given<State>,
    query: ListQuery,
) -> Result<Json<Value>, Problem> {
    named(&state, query.relay.as_deref())?;
    Ok(told_of(state.admin.0.journal.refused(), &query))
}

fn told_of(entries: Vec<Entry>, query: &ListQuery) -> Json<Value> {
    let is_asked_for = |entry: &&Entry| {
        query
            .relay
            .as_ref()
            .is_none_or(|name| **name == *entry.relay)
    };
    let entries = entries.iter().filter(is_asked_for);
    let entries = entries.take(query.limit.unwrap_or(KEPT));
    Json(entries.map(view::entry).collect())
}

/// The relay of this name, or all.
fn named(state: &State, name: Option<&str>) -> Result<Vec<Arc<Relay>>, Problem> {
    match name {
        Some(name) => Ok(vec![one(state, name)?]),
        None => Ok(state.admin.relays()),
    }
}

fn one(state: &State, name: &str) -> Result<Arc<Relay>, Problem> {
    let relay = state.admin.find(name);
    relay.ok_or_else(|| Problem::not_found(format!("there is no relay `{}`", name.escape_debug())))
}

// ===== no route =====

pub(super) async fn not_found() -> Problem {
    Problem::not_found(
        "there is nothing here; `/` lists what is live, and docs/admin.md the routes",
    )
}

pub(super) async fn not_allowed() -> Problem {
    let detail = "this method is not for this path: `Allow` names those that are";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_knows_what_it_is_nested_in() {
        assert_eq!(base("/", "/"), "/");
        assert_eq!(base("/relay", "/"), "/relay/");
        assert_eq!(base("/relay/", "/"), "/relay/");
        assert_eq!(base("/a/b", "/"), "/a/b/");
    }
}
