//! Links between the pages.

use std::{fs, path::Path};

use crate::{files, root};

/// The targets of Markdown's `](…)` outside of code.
fn links(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    lines
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

/// The anchors that a forge makes of the headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.trim())
    });
    headings
        .map(|heading| {
            let kept = heading.chars().filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || "-_".contains(c) => Some(c.to_ascii_lowercase()),
                _ => None,
            });
            kept.collect()
        })
        .collect()
}

fn leads_somewhere(page: &Path, text: &str, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let found = page.parent().unwrap().join(path);
    if !path.is_empty() && !found.exists() {
        return false;
    }
    let linked = match path {
        "" => text.to_owned(),
        _ if anchor.is_empty() => return true,
        _ => fs::read_to_string(found).unwrap(),
    };
    anchors(&linked).iter().any(|there| there == anchor)
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for page in files("", "md") {
        let text = fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let outside = target.contains("://") || target.starts_with("mailto:");
            if !outside && !leads_somewhere(&page, &text, target) {
                let page = page.strip_prefix(root()).unwrap().display();
                dead.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}
