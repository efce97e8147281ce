//! Reads the query of a request.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use couplet_connector::pairing::SessionId;

use super::Problem;
use crate::{
    metrics::{self, Selection},
    pair_query::{Generation, PairQuery, Sort},
};

/// A list's limits by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ListQuery {
    pub(crate) relay: Option<String>,
    pub(crate) limit: Option<usize>,
}

/// What is to be ready.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ReadyQuery {
    pub(crate) relay: Option<String>,
    /// A target of each side with several, or with checks, is up.
    pub(crate) targets: bool,
    /// At least this configuration runs.
    pub(crate) generation: Option<u64>,
}

/// Which metrics are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MetricsQuery {
    pub(crate) relay: Option<String>,
    pub(crate) selection: Selection,
}

/// The fields of a query.
#[derive(Clone, Debug)]
pub(crate) struct Fields(Vec<(String, String)>);

/// The part of a path that names something.
#[derive(Clone, Debug)]
pub(crate) struct Segment(pub(crate) String);

const MAX_LIMIT: usize = 10_000;

// ===== impl PairQuery =====

impl PairQuery {
    fn read(fields: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut query = Self::default();
        for (name, value) in fields {
            // An empty field of the page's form.
            if value.is_empty() && name != "all" {
                continue;
            }
            match name.as_str() {
                "relay" => query.relay = Some(value),
                "addr" => query.addr = Some(value),
                "identity" => query.identity = Some(value),
                "older" => query.older = Some(time(&name, &value)?),
                "idle" => query.idle = Some(time(&name, &value)?),
                "limit" => query.limit = Some(limit(&value)?),
                "after" => query.after = Some(id(&value)?),
                "all" if value == "true" => query.all = true,
                "sort" => {
                    let sort = Sort::ALL.into_iter().find(|sort| sort.name() == value);
                    query.sort = sort.ok_or_else(|| {
                        Problem::bad_request("`sort` is `age`, `rate`, `bytes`, `stall` or `idle`")
                    })?;
                }
                "generation" => {
                    let mut all = Generation::ALL.into_iter();
                    let generation = all.find(|generation| generation.name() == value);
                    query.generation = Some(generation.ok_or_else(|| {
                        Problem::bad_request("`generation` is `current` or `older`")
                    })?);
                }
                "all" => return Err(Problem::bad_request("`all` is `true`, or left out")),
                _ => {
                    return Err(Problem::bad_request(format!(
                        "`{name}` is no filter of pairs: they are relay, addr, identity, older, idle, \
                         generation, sort, limit, after"
                    )));
                }
            }
        }
        Ok(query)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PairQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Self::read(fields(parts, state).await?)
    }
}

// ===== impl ListQuery =====

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut query = Self::default();
        for (name, value) in fields(parts, state).await? {
            match name.as_str() {
                "relay" => query.relay = Some(value),
                "limit" => query.limit = Some(limit(&value)?),
                _ => {
                    return Err(Problem::bad_request(format!(
                        "`{name}` is no filter here: they are relay and limit"
                    )));
                }
            }
        }
        Ok(query)
    }
}

// ===== impl ReadyQuery =====

impl<S: Send + Sync> FromRequestParts<S> for ReadyQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut query = Self::default();
        for (name, value) in fields(parts, state).await? {
            match (name.as_str(), value.as_str()) {
                ("relay", _) => query.relay = Some(value),
                ("targets", "" | "true") => query.targets = true,
                ("targets", "false") => query.targets = false,
                ("targets", _) => {
                    return Err(Problem::bad_request(
                        "`targets` has no value, or `true` or `false`",
                    ));
                }
                ("generation", _) => {
                    query.generation = Some(value.parse().map_err(|_| {
                        Problem::bad_request(
                            "`generation` is a number, as in the answer to a reload",
                        )
                    })?);
                }
                _ => {
                    return Err(Problem::bad_request(format!(
                        "`{}` is not known here: it is relay, targets or generation",
                        name.escape_debug()
                    )));
                }
            }
        }
        Ok(query)
    }
}

// ===== impl MetricsQuery =====

impl<S: Send + Sync> FromRequestParts<S> for MetricsQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut query = Self::default();
        for (name, value) in fields(parts, state).await? {
            match name.as_str() {
                "relay" => {
                    query.selection = query.selection.relay(&value);
                    query.relay = Some(value);
                }
                "name" if metrics::is_family(&value) => {
                    query.selection = query.selection.family(&value);
                }
                "name" => {
                    return Err(Problem::bad_request(format!(
                        "`{}` is no family of metrics: docs/metrics.md lists them",
                        value.escape_debug()
                    )));
                }
                _ => {
                    return Err(Problem::bad_request(format!(
                        "`{}` is not known here: it is relay or name",
                        name.escape_debug()
                    )));
                }
            }
        }
        Ok(query)
    }
}

// ===== impl Fields =====

impl Fields {
    /// The value of the only field that there may be.
    pub(crate) fn only(self, known: &str) -> Result<Option<String>, Problem> {
        let mut value = None;
        for (name, given) in self.0 {
            if name != known || value.is_some() {
                return Err(Problem::bad_request(format!(
                    "`{}` is not known here, or there twice: it is `{known}`",
                    name.escape_debug()
                )));
            }
            value = Some(given);
        }
        Ok(value)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Fields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        fields(parts, state).await.map(Self)
    }
}

// ===== impl Segment =====

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let segment = Path::<String>::from_request_parts(parts, state).await;
        let segment = segment.map_err(|error| Problem::bad_request(error.body_text()))?;
        Ok(Self(segment.0))
    }
}

async fn fields<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<(String, String)>, Problem> {
    let fields = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
    let fields = fields.map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(fields.0)
}

fn time(name: &str, value: &str) -> Result<Duration, Problem> {
    humantime::parse_duration(value)
        .map_err(|_| Problem::bad_request(format!("`{name}` is a time: `30s`, `5m`, `1h30m`")))
}

fn limit(value: &str) -> Result<usize, Problem> {
    let limit = value
        .parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Problem::bad_request(format!("`limit` is a number from 1 to {MAX_LIMIT}")))
}

pub(super) fn id(value: &str) -> Result<SessionId, Problem> {
    let id = value.parse::<u64>();
    id.map(Into::into)
        .map_err(|_| Problem::bad_request(format!("`{value}` is no number of a pair")))
}
