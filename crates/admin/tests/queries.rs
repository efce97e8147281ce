//! What a query asks for: of the metrics, and of what is ready.

mod helper;

use couplet_admin::{Access, ReloadRefused};
use helper::*;

fn detail(answer: &Answer) -> String {
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/problem+json"), "{answer:?}");
    answer.json()["detail"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The families of an answer.
fn families(answer: &Answer) -> Vec<&str> {
    let lines = answer.body.lines();
    let names = lines.filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.collect()
}

#[tokio::test]
async fn metrics_are_those_that_are_named() {
    let rig = Rig::new();
    let server = rig.server(Access::Look);
    let all = get(&server, "/metrics").await;
    assert!(families(&all).len() > 20);
    let path = "/metrics?name=couplet_pairs_total&name=couplet_build_info&name=couplet_pipes";
    let some = get(&server, path).await;
    #[cfg(target_os = "linux")]
    assert_eq!(
        families(&some),
        ["couplet_build_info", "couplet_pipes", "couplet_pairs_total"]
    );
    assert!(some.body.contains("couplet_pairs_total{relay=\"ssh\"} 0"));
    let one = get(&server, "/metrics?relay=ssh&name=couplet_pairs_live").await;
    assert_eq!(families(&one), ["couplet_pairs_live"]);
    // Known, but no relay has it now.
    let none = get(&server, "/metrics?name=couplet_carriers").await;
    assert_eq!((none.status, &*none.body), (200, ""));
    for (query, says) in [
        (
            "name=couplet_pair",
            "`couplet_pair` is no family of metrics",
        ),
        ("name=", "`` is no family of metrics"),
        ("limit=3", "`limit` is not known here: it is relay or name"),
    ] {
        let wrong = get(&server, &format!("/metrics?{query}")).await;
        assert_eq!(wrong.status, 400);
        assert!(detail(&wrong).starts_with(says), "{wrong:?}");
    }
    assert_eq!(get(&server, "/metrics?relay=other").await.status, 404);
}

#[tokio::test]
async fn a_generation_is_ready_once_it_is_taken() {
    let rig = Rig::new();
    let server = rig.server(Access::Look);
    let without = get(&server, "/ready?generation=1").await;
    assert_eq!(without.status, 400);
    assert!(detail(&without).contains("no configuration"));
    rig.admin
        .on_reload(async || Err(ReloadRefused::Busy("never".to_owned())));
    for (generation, status) in [(0, 200), (1, 200), (2, 503)] {
        let ready = get(&server, &format!("/ready?generation={generation}")).await;
        assert_eq!(
            (ready.status, &ready.json()["generation"]),
            (status, &1.into())
        );
        assert_eq!(ready.json()["ready"], status == 200);
    }
    rig.admin.reloaded(Err("line 3 is wrong"));
    let failed = get(&server, "/ready?generation=2").await;
    assert_eq!(
        (failed.status, &failed.json()["detail"]),
        (
            503,
            &"generation 1 runs, 2 is asked for; the last reload changed nothing: line 3 is wrong"
                .into()
        )
    );
    rig.admin.reloaded(Ok(2));
    assert_eq!(get(&server, "/ready?generation=2").await.status, 200);
    // Only where its relays are ready, too.
    rig.relay.pause();
    let paused = get(&server, "/ready?generation=2").await;
    assert_eq!(
        (paused.status, &paused.json()["not_ready"]["ssh"]),
        (503, &"paused".into())
    );
}

#[tokio::test]
async fn bad_queries_of_what_is_ready_are_told() {
    let rig = Rig::new();
    let server = rig.server(Access::Look);
    for query in ["targets", "targets=true", "targets=false", "targets="] {
        // A side without several targets or a check is not asked for.
        assert_eq!(get(&server, &format!("/ready?{query}")).await.status, 200);
    }
    for (query, says) in [
        ("targets=1", "`targets` has no value, or `true` or `false`"),
        (
            "generation=-1",
            "`generation` is a number, as in the answer to a reload",
        ),
        (
            "generation=",
            "`generation` is a number, as in the answer to a reload",
        ),
        (
            "limit=3",
            "`limit` is not known here: it is relay, targets or generation",
        ),
    ] {
        let wrong = get(&server, &format!("/ready?{query}")).await;
        assert_eq!((wrong.status, &*detail(&wrong)), (400, says));
    }
    let wrong = get(&server, "/v1/pairs?generation=7").await;
    assert_eq!(
        (wrong.status, &*detail(&wrong)),
        (400, "`generation` is `current` or `older`")
    );
}
