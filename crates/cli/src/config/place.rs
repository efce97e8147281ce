//! Where in a file a relay is, and what is wrong with it.

use std::ops::Range;

use couplet_connector::endpoint::Side;

use super::{
    table::{Entry, Item, Kind, Named, Value},
    text::Text,
};
use crate::{mistake::Mistake, side::SideWords};

/// Where a relay is: its file, and the tables there.
pub(super) struct Place<'a> {
    pub(super) text: &'a Text,
    pub(super) named: &'a Named,
}

// ===== impl Place =====

impl Place<'_> {
    /// Where it begins: `FILE:LINE`.
    pub(super) fn line(&self) -> String {
        self.text.line_of(self.named.name_span.start)
    }

    /// A mistake about a side as a whole.
    pub(super) fn place_at(&self, side: Side, mistake: Mistake) -> Mistake {
        let key = match side {
            Side::A => "a",
            Side::B => "b",
        };
        let entry = self.named.table.get(key);
        let span = entry.map_or(self.named.name_span.clone(), |entry| entry.span.clone());
        self.text.place(mistake, span)
    }

    pub(super) fn side(&self, key: &str) -> Result<SideWords, Mistake> {
        let Some(entry) = self.named.table.get(key) else {
            let kind = self.named.kind.name();
            let message = format!("`{kind}.{}` has no side `{key}`", self.named.name);
            let hint = match (self.named.kind, key) {
                (Kind::Relay, "b") => "`b = \"dial:HOST:PORT\"`",
                _ => "`a = \"listen:HOST:PORT\"`",
            };
            let mistake = Mistake::new(message, hint);
            return Err(self.text.place(mistake, self.named.name_span.clone()));
        };
        match &entry.value {
            Value::One(item) => Ok(item.text.as_str().into()),
            Value::Many(items) if !items.is_empty() => {
                Ok(SideWords::of_parts(items.iter().map(|item| &item.text)))
            }
            _ => {
                let mistake = Mistake::new(
                    "a side is a string, or an array of its parts",
                    format!("`{key} = [\"listen:443\", \"tls=db.pem\"]`"),
                );
                Err(self.text.place(mistake, entry.span.clone()))
            }
        }
    }

    /// The mistake of a plan, at what it is about.
    pub(super) fn place(&self, mistake: Mistake, [a, b]: [Option<&SideWords>; 2]) -> Mistake {
        let key = mistake.key().map(str::to_owned);
        let entry = key.as_deref().and_then(|key| self.named.table.get(key));
        let Some(entry) = entry else {
            return self.text.place(mistake, self.named.name_span.clone());
        };
        let side = match entry.key.as_str() {
            "a" => a,
            "b" => b,
            _ => None,
        };
        let Some(side) = side else {
            let mut items = entry.items().iter();
            let place = items.find_map(|item| Some(item.part(mistake.span_in(&item.text)?)));
            return self
                .text
                .place(mistake, place.unwrap_or(entry.span.clone()));
        };
        match mistake.span_in(side.text()) {
            Some(span) => {
                let place = in_side(entry, side, span);
                self.text.place(mistake, place)
            }
            // A line of a file that the side names.
            None if mistake.has_place() => self.text.named_at(mistake, entry.span.start),
            None => self.text.place(mistake, entry.span.clone()),
        }
    }
}

/// Where in the file a part of a side is.
fn in_side(entry: &Entry, side: &SideWords, span: Range<usize>) -> Range<usize> {
    in_items(entry.items(), side, span).unwrap_or(entry.span.clone())
}

/// The same, where `listen:` may have been left out.
#[cfg(feature = "admin")]
pub(super) fn in_short_side(
    items: &[Item],
    side: &SideWords,
    mistake: &Mistake,
) -> Option<Range<usize>> {
    const LEFT_OUT: &str = "listen:";
    let of_whole = || {
        let span = mistake.span_in(&format!("{LEFT_OUT}{}", side.text()))?;
        let moved = |at: usize| at.saturating_sub(LEFT_OUT.len());
        Some(moved(span.start)..moved(span.end))
    };
    let span = mistake.span_in(side.text()).or_else(of_whole)?;
    in_items(items, side, span)
}

/// A side is one string, or its parts.
fn in_items(items: &[Item], side: &SideWords, span: Range<usize>) -> Option<Range<usize>> {
    if let [word] = items {
        return Some(word.part(span));
    }
    let mut parts = side.spans().iter().zip(items);
    let (part, item) = parts.find(|(part, _)| span.start <= part.end)?;
    let start = span.start.saturating_sub(part.start);
    let end = (span.end.min(part.end)).saturating_sub(part.start);
    Some(item.part(start..end.max(start)))
}
