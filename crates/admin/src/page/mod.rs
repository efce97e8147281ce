//! The page: one file, rendered here, so that it says everything without JavaScript. A script replaces its
//! sections as the server renders them anew.

mod curves;
mod lists;
mod parts;
mod relays;
mod text;

pub(crate) use self::text::{pairs as pairs_text, status as text};

use std::{fmt::Write, sync::LazyLock};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use self::parts::{Escaped, duration};
use crate::{
    Admin,
    pair_query::{PairQuery, Sort},
    reload::Told,
};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The Content-Security-Policy of every answer: the page's own style and script, and nothing else.
pub(crate) fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src \
             data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        )
    });
    &POLICY
}

/// The sections that change, by the names of their elements.
pub(crate) fn sections(
    admin: &Admin,
    query: &PairQuery,
    may_change: bool,
) -> Vec<(&'static str, String)> {
    vec![
        ("state", state(admin)),
        ("tiles", curves::tiles(admin)),
        ("relays", relays::relays(admin, may_change)),
        ("pairs", lists::pairs(admin, query, may_change)),
        ("waiting", lists::waiting(admin)),
        ("ended", lists::ended(admin)),
        ("refused", lists::refused(admin)),
    ]
}

/// The whole page. `base` is the path of the router, with a slash behind.
pub(crate) fn html(admin: &Admin, query: &PairQuery, base: &str, may_change: bool) -> String {
    let mut html = String::with_capacity(64 * 1024);
    let sections = sections(admin, query, may_change);
    let section = |name: &str| {
        let found = sections.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, html)| html.as_str())
    };
    let base = Escaped(base);
    // Writing to a string does not fail.
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>Couplet</title><link rel=\"icon\" href=\"data:,\">\
         <noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>\
         <style>{STYLE}</style></head><body data-base=\"{base}\">\
         <header><h1>Couplet</h1><p id=\"state\">{}</p>\
         <p id=\"link\" role=\"status\" hidden></p></header><main>\
         <section aria-label=\"Now\"><div id=\"tiles\" class=\"tiles\">{}</div></section>\
         <section aria-labelledby=\"h-relays\"><h2 id=\"h-relays\">Relays</h2><div id=\"relays\">{}</div></section>\
         <section aria-labelledby=\"h-pairs\"><h2 id=\"h-pairs\">Live pairs</h2>{}\
         <div id=\"pairs\" class=\"list\" tabindex=\"0\" role=\"region\" aria-label=\"Live pairs: table\">{}</div></section>\
         <section aria-labelledby=\"h-waiting\"><h2 id=\"h-waiting\">Waiting</h2>\
         <div id=\"waiting\" class=\"list\" tabindex=\"0\" role=\"region\" aria-label=\"Waiting: table\">{}</div></section>\
         <section aria-labelledby=\"h-ended\"><h2 id=\"h-ended\">Ended</h2>\
         <div id=\"ended\" class=\"list\" tabindex=\"0\" role=\"region\" aria-label=\"Ended: table\">{}</div></section>\
         <section aria-labelledby=\"h-refused\"><h2 id=\"h-refused\">Refused</h2>\
         <div id=\"refused\" class=\"list\" tabindex=\"0\" role=\"region\" aria-label=\"Refused: table\">{}</div></section>\
         </main><script>{SCRIPT}</script></body></html>\n",
        section("state"),
        section("tiles"),
        section("relays"),
        form(admin, query, &base),
        section("pairs"),
        section("waiting"),
        section("ended"),
        section("refused"),
    );
    html
}

fn state(admin: &Admin) -> String {
    let relays = admin.relays();
    let not_ready = relays
        .iter()
        .filter(|relay| relay.not_ready().is_some())
        .count();
    let ready = match not_ready {
        0 => "<b class=\"ok\">ready</b>".to_owned(),
        count => format!("<b class=\"bad\">{count} not ready</b>"),
    };
    let reload = match admin.0.reloads.known() {
        None => String::new(),
        Some(Told {
            failure: Some(why), ..
        }) => {
            // A line break is the only one that is kept: a field of an event is a line.
            let lines = why.lines().map(|line| Escaped(line).to_string());
            let lines = lines.collect::<Vec<_>>().join("<br>");
            format!(" <b class=\"bad told\">the last reload changed nothing:<br>{lines}</b>")
        }
        Some(told) => format!(" · generation {}", told.generation),
    };
    format!(
        "{ready} version {} · up {} · pid {}{reload}",
        Escaped(&admin.shown_version()),
        duration(admin.uptime()),
        std::process::id()
    )
}

/// Chooses and sorts the pairs, without JavaScript, too.
fn form(admin: &Admin, query: &PairQuery, base: &Escaped<'_>) -> String {
    let mut html = format!("<form method=\"get\" action=\"{}\">", base.without_slash());
    let field = |name: &str, label: &str, value: &str| {
        format!(
            "<label>{label} <input name=\"{name}\" value=\"{}\" size=\"12\"></label>",
            Escaped(value)
        )
    };
    html += "<label>Relay <select name=\"relay\"><option value=\"\">all</option>";
    for relay in admin.relays() {
        let chosen = query.relay.as_deref() == Some(relay.name());
        let _ = write!(
            html,
            "<option{}>{}</option>",
            if chosen { " selected" } else { "" },
            relay.name()
        );
    }
    html += "</select></label>";
    html += &field("addr", "Address", query.addr.as_deref().unwrap_or_default());
    html += &field(
        "identity",
        "Identity",
        query.identity.as_deref().unwrap_or_default(),
    );
    html += "<label>Sort by <select name=\"sort\">";
    for sort in Sort::ALL {
        let chosen = if sort == query.sort { " selected" } else { "" };
        let _ = write!(html, "<option{chosen}>{}</option>", sort.name());
    }
    html + "</select></label><button>Show</button></form>"
}
