//! The routes of the program around the relays.

use axum::{
    Json,
    extract::State as Given,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Problem, State, query::Fields};
use crate::program::{ConfigForm, End, LogLevel, Program};

pub(super) async fn check(
    Given(state): Given<State>,
    headers: HeaderMap,
    body: String,
) -> Result<Json<Value>, Problem> {
    // JSON has it as a member, so that scripts need no second content type.
    let content_type = headers.get(header::CONTENT_TYPE);
    let is_toml =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/toml"));
    let configuration = match is_toml {
        true => body,
        false => serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|body| Some(body.get("toml")?.as_str()?.to_owned()))
            .ok_or_else(|| {
                Problem::bad_request(
                    "the body is a file's text with `Content-Type: application/toml`, or `{\"toml\": TEXT}`",
                )
            })?,
    };
    let admin = state.admin.clone();
    let checking = tokio::task::spawn_blocking(move || {
        let program = admin.0.program.get()?;
        program.check(configuration)
    });
    let checked = checking.await.ok().flatten().ok_or_else(nothing)?;
    match checked.mistakes.is_empty() {
        true => Ok(Json(json!({"mistakes": 0}))),
        false => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, checked.text);
            Err(problem.with_errors(checked.mistakes))
        }
    }
}

pub(super) async fn config(
    Given(state): Given<State>,
    fields: Fields,
) -> Result<Response, Problem> {
    let form = match fields.only("as")?.as_deref() {
        None => ConfigForm::File,
        Some("commands") => ConfigForm::Commands,
        Some(_) => return Err(Problem::bad_request("`as` is `commands`, or left out")),
    };
    let config = program(&state)?.config(form).ok_or_else(nothing)?;
    let content_type = match form {
        ConfigForm::File => "application/toml; charset=utf-8",
        ConfigForm::Commands => "text/plain; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, content_type)], config).into_response())
}

pub(super) async fn log(
    Given(state): Given<State>,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let name = fields.only("level")?.unwrap_or_default();
    let level = LogLevel::ALL.into_iter().find(|level| level.name() == name);
    let level = level.ok_or_else(|| {
        Problem::bad_request("`level` is `error`, `warn`, `info`, `debug` or `trace`")
    })?;
    program(&state)?.log(level).ok_or_else(nothing)?;
    tracing::info!(
        level = name,
        "logged from now on, as the admin endpoint was told"
    );
    Ok(Json(json!({"level": name})))
}

pub(super) async fn drain(Given(state): Given<State>) -> Result<Json<Value>, Problem> {
    end(&state, End::Drain, "draining")
}

pub(super) async fn stop(Given(state): Given<State>) -> Result<Json<Value>, Problem> {
    end(&state, End::Stop, "stopping")
}

fn end(state: &State, how: End, told: &str) -> Result<Json<Value>, Problem> {
    let ended = program(state)?.end(how).ok_or_else(nothing)?;
    ended.map_err(|why| Problem::new(StatusCode::CONFLICT, why))?;
    tracing::info!("the admin endpoint was asked to end the process: {told}");
    Ok(Json(json!({"state": told})))
}

fn program(state: &State) -> Result<&dyn Program, Problem> {
    state.admin.0.program.get().ok_or_else(nothing)
}

fn nothing() -> Problem {
    Problem::not_found("this program does not do this over its admin endpoint")
}
