use tokio::io::AsyncWriteExt;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt};

use super::{HELLO, Writes, hear, join};
use crate::observe::traffic_log::{Colour, TrafficLogLayer};

async fn traced(layer: TrafficLogLayer, filter: &str) -> Vec<String> {
    let events = Writes::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(events.clone())
        .with_ansi(false)
        .without_time()
        .finish()
        .with(filter.parse::<Targets>().unwrap());
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut joined = join(&layer.colour(Colour::Always));
    joined.peer_a.write_all(HELLO).await.unwrap();
    hear(&mut joined.a).await.unwrap();
    drop(joined.peer_b);
    hear(&mut joined.b).await.unwrap();
    let session = format!("session={} ", joined.session.id());
    let events = events.take();
    let without_id = |event: &String| event.replace(&session, "");
    events.iter().map(without_id).collect()
}

#[tokio::test]
async fn text_to_tracing_is_an_event_a_line() {
    assert_eq!(
        traced(TrafficLogLayer::text(), "couplet::traffic=info").await,
        [
            " INFO couplet::traffic: EHLO relay\\r\\n direction=A -> B\n",
            " INFO couplet::traffic: QUIT\\x07 direction=A -> B\n",
            " INFO couplet::traffic: EOF direction=B -> A total=0\n",
        ]
    );
}

#[tokio::test]
async fn hex_to_tracing_is_an_event_a_row() {
    assert_eq!(
        traced(TrafficLogLayer::hex(), "couplet::traffic=info").await,
        [
            " INFO couplet::traffic: length=17 from=0 to=16 direction=A -> B\n",
            " INFO couplet::traffic: 00000000  45 48 4c 4f 20 72 65 6c  61 79 0d 0a 51 55 49 54  \
             |EHLO relay..QUIT| direction=A -> B\n",
            " INFO couplet::traffic: 00000010  07                                                \
             |.| direction=A -> B\n",
            " INFO couplet::traffic: EOF direction=B -> A total=0\n",
        ]
    );
}

#[tokio::test]
async fn a_disabled_level_is_not_logged() {
    let none: [&str; 0] = [];
    assert_eq!(traced(TrafficLogLayer::text(), "off").await, none);
    assert_eq!(
        traced(TrafficLogLayer::hex(), "info,couplet::traffic=warn").await,
        none
    );
}
