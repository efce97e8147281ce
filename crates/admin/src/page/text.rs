//! The page as tables of text, for curl and a terminal. No text of a peer is raw.

use std::fmt::Write;

use couplet_connector::Side;

use super::parts::{bytes, duration};
use crate::{
    Admin,
    relay::peer,
    view::{self, PairView},
};

pub(crate) fn status(admin: &Admin) -> String {
    let mut text = format!(
        "couplet {}, up {}, pid {}\n\n",
        admin.shown_version(),
        duration(admin.uptime()),
        std::process::id()
    );
    let mut rows = vec![cells(&[
        "RELAY", "STATE", "A", "B", "LIVE", "WAITING", "PAIRS", "REFUSED", "A TO B", "B TO A",
    ])];
    for relay in admin.relays() {
        let stats = relay.handle().stats();
        let snapshot = stats.snapshot();
        let refused = |side| -> u64 { stats.refusals(side).iter().map(|(_, n)| n).sum() };
        rows.push(vec![
            relay.name().to_owned(),
            relay.not_ready().unwrap_or("ready").to_owned(),
            relay.end(Side::A),
            relay.end(Side::B),
            snapshot.live_pairs.to_string(),
            (snapshot.a.waiting + snapshot.b.waiting).to_string(),
            snapshot.total_pairs.to_string(),
            (refused(Side::A) + refused(Side::B)).to_string(),
            bytes(snapshot.a_to_b as f64),
            bytes(snapshot.b_to_a as f64),
        ]);
    }
    table(&mut text, &rows);
    text
}

pub(crate) fn pairs(pairs: &[PairView]) -> String {
    let mut rows = vec![cells(&[
        "PAIR", "RELAY", "A", "B", "AGE", "IDLE", "A TO B", "B TO A", "RATE", "IDENTITY",
    ])];
    for pair in pairs {
        let identities = [Side::A, Side::B]
            .into_iter()
            .filter_map(|side| view::identity(pair.session.info(side)));
        let identities: Vec<_> = identities.map(ToString::to_string).collect();
        rows.push(vec![
            pair.session.id().to_string(),
            pair.relay.name().to_owned(),
            peer(pair.session.info(Side::A)),
            peer(pair.session.info(Side::B)),
            duration(pair.session.duration()),
            duration(pair.idle()),
            bytes(pair.bytes(Side::A) as f64),
            bytes(pair.bytes(Side::B) as f64),
            format!("{}/s", bytes(pair.rate[0] + pair.rate[1])),
            identities.join(" "),
        ]);
    }
    let mut text = String::new();
    table(&mut text, &rows);
    text
}

fn cells(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn table(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<_> = (0..columns)
        .map(|n| {
            rows.iter()
                .map(|row| row[n].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
