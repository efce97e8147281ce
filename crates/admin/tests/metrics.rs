//! What is served to Prometheus.

mod helper;

use couplet_admin::{
    Access,
    metrics::{Format, Selection, text},
};
use helper::*;

#[tokio::test]
async fn a_relays_series_are_there_at_0_and_count() {
    let mut rig = Rig::new();
    let series = |text: &str, line: &str| text.lines().any(|served| served == line);
    let before = text(&rig.admin, Format::Text, &Selection::default());
    for line in [
        "couplet_pairs_total{relay=\"ssh\"} 0",
        "couplet_refused_total{relay=\"ssh\",side=\"a\",reason=\"token\"} 0",
        "couplet_pairs_ended_total{relay=\"ssh\",state=\"AF\"} 0",
        "couplet_pair_bytes_total{relay=\"ssh\",dir=\"a_to_b\"} 0",
        "couplet_dials_total{relay=\"ssh\",side=\"b\",result=\"ok\"} 0",
        "couplet_ready{relay=\"ssh\"} 1",
    ] {
        assert!(series(&before, line), "{line}");
    }
    rig.refused().await;
    drop(rig.pair().await);
    until(|| rig.relay.live_pairs() == 0).await;
    let after = text(&rig.admin, Format::Text, &Selection::default());
    for line in [
        "couplet_pairs_total{relay=\"ssh\"} 1",
        "couplet_refused_total{relay=\"ssh\",side=\"a\",reason=\"token\"} 1",
        "couplet_pairs_ended_total{relay=\"ssh\",state=\"AF\"} 1",
        "couplet_pair_bytes_total{relay=\"ssh\",dir=\"a_to_b\"} 5",
        "couplet_dials_total{relay=\"ssh\",side=\"b\",result=\"ok\"} 1",
        "couplet_pair_duration_seconds_count{relay=\"ssh\"} 1",
        "couplet_handshake_duration_seconds_count{relay=\"ssh\",side=\"a\"} 1",
        "couplet_pairs_live{relay=\"ssh\",generation=\"current\"} 0",
    ] {
        assert!(series(&after, line), "{line}");
    }
    assert_eq!(
        before.lines().count(),
        after.lines().count(),
        "no series appears later"
    );
    assert!(after.lines().count() < 320, "{}", after.lines().count());
}

#[tokio::test]
async fn a_scraper_chooses_the_format_and_the_relay() {
    let rig = Rig::new();
    let server = rig.server(Access::Look);
    let plain = get(&server, "/metrics").await;
    assert_eq!(
        plain.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(plain.body.contains("# TYPE couplet_pairs_total counter"));
    assert!(!plain.body.contains("# EOF"));
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let open = ask(&server, "GET /metrics", &[accept]).await;
    assert!(
        open.header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    assert!(open.body.contains("# TYPE couplet_pairs counter") && open.body.ends_with("# EOF\n"));
    assert_eq!(get(&server, "/metrics?relay=other").await.status, 404);
    let one = get(&server, "/metrics?relay=ssh").await.body;
    assert!(one.contains("couplet_pairs_live{relay=\"ssh\",") && !one.contains("process_"));
}

/// A figure, and no check: `cargo test -p couplet-admin --test metrics -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement, which takes long without optimization"]
async fn how_long_a_scrape_takes_with_ten_thousand_pairs() {
    let mut rig = Rig::new();
    let mut pairs = Vec::new();
    for live in [100, 10_000] {
        while pairs.len() < live {
            pairs.push(rig.pair().await);
        }
        let mut times: Vec<_> = (0..20)
            .map(|_| {
                let begun = tokio::time::Instant::now();
                text(&rig.admin, Format::Text, &Selection::default());
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!("{live} pairs: {:?}, at most {:?}", times[10], times[19]);
    }
}
