//! Live pairs, waiting connections, and recent events.

use std::{collections::BTreeMap, fmt::Write, time::SystemTime};

use couplet_connector::{Side, endpoint::Info};

use super::parts::{Escaped, bytes, duration};
use crate::{
    Admin,
    journal::{Entry, What},
    pair_query::{Generation, PairQuery},
    relay::peer,
    view::{self, PairView},
};

/// How many of each kind are shown.
const SHOWN: usize = 25;

pub(super) fn pairs(admin: &Admin, query: &PairQuery, may_change: bool) -> String {
    let (pairs, total) = view::pairs(admin, query);
    if pairs.is_empty() {
        return "<p>None.</p>".to_owned();
    }
    let mut html = String::from("<table><thead><tr>");
    for head in [
        "Pair", "Relay", "A", "B", "Age", "Idle", "A to B", "B to A", "Held up",
    ] {
        let _ = write!(html, "<th scope=\"col\">{head}</th>");
    }
    html += match may_change {
        true => "<th scope=\"col\"><span class=\"js\" hidden>Do</span></th></tr></thead><tbody>",
        false => "</tr></thead><tbody>",
    };
    for pair in &pairs {
        row(&mut html, pair, may_change);
    }
    html += "</tbody></table>";
    if total > pairs.len() {
        let _ = write!(html, "<p>{} of {total} pairs.</p>", pairs.len());
    }
    html
}

fn row(html: &mut String, pair: &PairView, may_change: bool) {
    let id = pair.session.id();
    let way = |from: Side| {
        let meter = pair.session.meter();
        format!(
            "{} <small>{}/s, {}</small>",
            bytes(pair.bytes(from) as f64),
            bytes(pair.rate[from as usize]),
            if meter.is_spliced(from) {
                "spliced"
            } else {
                "copied"
            },
        )
    };
    let held_up = |by: Side| {
        let stalled = pair.stalled(!by)?;
        Some(format!(
            "<b class=\"bad\">by {by}, {}</b>",
            duration(stalled)
        ))
    };
    let held_up: Vec<_> = [Side::A, Side::B].into_iter().filter_map(held_up).collect();
    let _ = write!(
        html,
        "<tr><th scope=\"row\">{id}</th><td>{}{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td>{}</td>",
        pair.relay.name(),
        match pair.generation() {
            Generation::Current => "",
            Generation::Older => " <small>from before a reload</small>",
        },
        end(pair.session.info(Side::A)),
        end(pair.session.info(Side::B)),
        duration(pair.session.duration()),
        duration(pair.idle()),
        way(Side::A),
        way(Side::B),
        held_up.join(" "),
    );
    if may_change {
        let _ = write!(
            html,
            "<td><button class=\"js\" hidden data-delete=\"v1/pairs/{id}\" data-key=\"cut-{id}\" aria-label=\"Cut pair \
             {id}\">Cut</button> <button class=\"js\" hidden data-capture=\"{id}\" data-key=\"capture-{id}\" \
             aria-label=\"Capture pair {id}\">Capture</button></td>"
        );
    }
    *html += "</tr>";
}

/// A connection's other end: its address, the target of a dial, and a proven identity.
fn end(info: &Info) -> String {
    let mut html = Escaped(&peer(info)).to_string();
    if let Some(target) = &info.target {
        let target = target.to_string();
        if target != peer(info) {
            let _ = write!(html, " <small>{}</small>", Escaped(&target));
        }
    }
    if let Some(identity) = view::identity(info) {
        let _ = write!(html, " <small>{}</small>", Escaped(identity.name()));
    }
    html
}

pub(super) fn waiting(admin: &Admin) -> String {
    let mut rows = String::new();
    for relay in admin.relays() {
        for one in relay.waiting.list(SHOWN) {
            let identity = one.identity.as_ref().map_or("", |identity| identity.name());
            let _ = write!(
                rows,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                Escaped(&view::peer_text(one.peer)),
                relay.name(),
                one.side.map_or("–".to_owned(), |side| side.to_string()),
                Escaped(identity),
                duration(one.waited()),
            );
        }
    }
    table(&["Peer", "Relay", "Side", "Identity", "Since"], &rows)
}

pub(super) fn ended(admin: &Admin) -> String {
    let mut rows = String::new();
    for entry in admin.0.journal.ended().iter().take(SHOWN) {
        let What::Ended {
            session,
            reason,
            error,
        } = &entry.what
        else {
            continue;
        };
        let words = reason.to_string();
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td><b class=\"{}\">{}</b> {}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td></tr>",
            ago(entry),
            entry.relay,
            session.id(),
            if reason.is_clean() { "ok" } else { "bad" },
            reason.termination_state(),
            Escaped(&words),
            duration(session.duration()),
            bytes(session.meter().bytes(Side::A) as f64),
            bytes(session.meter().bytes(Side::B) as f64),
            Escaped(&view::peer_text(session.info(Side::A).peer)),
            Escaped(error.as_deref().unwrap_or_default()),
        );
    }
    let heads = [
        "Ago", "Relay", "Pair", "How", "Lasted", "A to B", "B to A", "A", "Error",
    ];
    table(&heads, &rows)
}

pub(super) fn refused(admin: &Admin) -> String {
    let mut causes = BTreeMap::new();
    for relay in admin.relays() {
        for side in [Side::A, Side::B] {
            for (cause, count) in relay.handle().stats().refusals(side) {
                *causes.entry(cause).or_insert(0) += count;
            }
        }
    }
    causes.retain(|_, count| *count > 0);
    let mut html = String::new();
    if !causes.is_empty() {
        html += "<ul class=\"causes\">";
        for (cause, count) in causes {
            let _ = write!(html, "<li>{cause} <b>{count}</b></li>");
        }
        html += "</ul>";
    }
    let mut rows = String::new();
    for entry in admin.0.journal.refused().iter().take(SHOWN) {
        let What::Refused {
            side,
            peer,
            cause,
            error,
            ..
        } = &entry.what
        else {
            continue;
        };
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{side}</td><td>{}</td><td>{cause}</td><td>{}</td></tr>",
            ago(entry),
            entry.relay,
            Escaped(&view::peer_text(*peer)),
            Escaped(error.as_deref().unwrap_or_default()),
        );
    }
    html + &table(&["Ago", "Relay", "Side", "Peer", "Reason", "Error"], &rows)
}

fn ago(entry: &Entry) -> String {
    let ago = SystemTime::now().duration_since(entry.time);
    format!(
        "<time datetime=\"{}\">{}</time>",
        view::time(entry),
        duration(ago.unwrap_or_default())
    )
}

fn table(heads: &[&str], rows: &str) -> String {
    if rows.is_empty() {
        return "<p>None.</p>".to_owned();
    }
    let heads: String = heads
        .iter()
        .map(|head| format!("<th scope=\"col\">{head}</th>"))
        .collect();
    format!("<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>")
}
