//! Which requests are answered at all: see the table in the crate's documentation.

use axum::{
    extract::{Request, State as Given},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Problem, State};
use crate::page;

pub(super) async fn guard(Given(state): Given<State>, request: Request, next: Next) -> Response {
    let mut response = match refuse(&state, &request) {
        None => next.run(request).await,
        Some(problem) => problem,
    };
    let headers = response.headers_mut();
    let mut set = |name, value: &str| {
        headers.insert(
            name,
            HeaderValue::from_str(value).expect("policies are plain text"),
        );
    };
    set(header::CONTENT_SECURITY_POLICY, page::policy());
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::CACHE_CONTROL, "no-store");
    set(header::REFERRER_POLICY, "no-referrer");
    response
}

fn refuse(state: &State, request: &Request) -> Option<Response> {
    let headers = request.headers();
    let problem = |status, detail: &str| Some(Problem::new(status, detail).into_response());
    let Some(host) = host(request) else {
        return problem(StatusCode::BAD_REQUEST, "a request has one `Host` header");
    };
    if !is_ours(state, &host) {
        return problem(
            StatusCode::MISDIRECTED_REQUEST,
            "this host is not known: use an IP address or `localhost`, or let the operator add the name",
        );
    }
    if !is_same_origin(headers, &host) {
        return problem(
            StatusCode::FORBIDDEN,
            "requests of pages of another origin are not answered",
        );
    }
    let is_live = request.uri().path() == "/live";
    let authorization = one(headers, header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if !is_live && !state.access.admits(authorization) {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        let detail = "a token is needed: `Authorization: Bearer TOKEN`";
        let problem = Problem::new(StatusCode::UNAUTHORIZED, detail);
        return Some((challenge, problem).into_response());
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && !tells_secrets(request.uri().path()) {
        return None;
    }
    if !state.access.may_change() {
        return problem(
            StatusCode::FORBIDDEN,
            "this address only looks: nothing can be changed or captured here",
        );
    }
    if one(headers, "couplet-admin").map(HeaderValue::as_bytes) != Some(b"1") {
        return problem(
            StatusCode::FORBIDDEN,
            "a request that changes or captures something has the header `Couplet-Admin: 1`",
        );
    }
    if is_read {
        return None;
    }
    let content_type = one(headers, header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let essence = content_type.map(|value| value.split(';').next().unwrap_or_default().trim());
    let is_file =
        request.uri().path().ends_with("/v1/check") && essence == Some("application/toml");
    if essence != Some("application/json") && !is_file {
        return problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a request that changes something has the content type `application/json`",
        );
    }
    None
}

/// Is it more than a look? A capture has what the peers say, and costs the pair its splice.
fn tells_secrets(path: &str) -> bool {
    path.trim_end_matches('/').ends_with("/capture")
}

/// The value of a header that is there once.
fn one(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The host as the client names it, with its port, in lower case.
fn host(request: &Request) -> Option<String> {
    // A target in absolute form has its own, which then counts.
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => one(request.headers(), header::HOST)?.to_str().ok()?,
    };
    Some(host.to_ascii_lowercase())
}

/// A host that no name server can make a browser send: an IP literal, `localhost`; or a known one.
fn is_ours(state: &State, host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok() || state.admin.is_host(name)
}

fn is_same_origin(headers: &HeaderMap, host: &str) -> bool {
    let is_ours = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority == Some(host)
    };
    let is_same_site = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    headers.get_all(header::ORIGIN).iter().all(is_ours)
        && headers.get_all("sec-fetch-site").iter().all(is_same_site)
}
