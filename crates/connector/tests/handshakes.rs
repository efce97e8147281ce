//! The handshakes of a side, in every mode: tokens that come, that are sent, that are wrong or late.

mod helper;

use std::time::Duration;

use couplet_connector::{
    ConnectorError,
    endpoint::{Side, is_caused_by},
    layers::{ExpectToken, HandshakeError, HandshakeLayer, SendToken, Token},
};
use helper::*;
use tokio::time::Instant;

fn expect(token: &str) -> HandshakeLayer<ExpectToken> {
    HandshakeLayer::new(ExpectToken::new(Token::new(token).expect("it is one")))
}

#[tokio::test(start_paused = true)]
async fn each_side_has_its_handshake() {
    every_mode!(|connector, rig| {
        let relay = connector
            .layer_a(expect("alpha"))
            .layer_b(expect("beta"))
            .start();
        let [mut a, mut b] = rig
            .pair_saying(["alpha\nmore from a", "beta\r\nmore from b"])
            .await;
        hears(&mut a, "more from b").await;
        hears(&mut b, "more from a").await;
        joined(&mut a, &mut b).await;
        let snapshot = relay.snapshot();
        assert_eq!((snapshot.a_to_b, snapshot.b_to_a), (15, 15), "{}", rig.mode);
        close(&relay).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_token_may_come_in_pieces_and_may_be_sent() {
    every_mode!(|connector, rig| {
        let relay = connector
            .layer_a(expect("alpha"))
            .layer_b(HandshakeLayer::new(SendToken::new(
                Token::new("beta").unwrap(),
            )))
            .start();
        // Where A is dialled for B, B is there first.
        let b_first = match rig.order {
            [Side::B, _] => Some(rig.meet(Side::B).await),
            _ => None,
        };
        let mut a = rig.meet(Side::A).await;
        for byte in b"alpha\nx" {
            settle().await;
            assert!(relay.live_pairs() == 0 || *byte == b'x');
            say(&mut a, [*byte]).await;
        }
        let mut b = match b_first {
            Some(b) => b,
            None => rig.meet(Side::B).await,
        };
        hears(&mut b, "beta\nx").await;
        joined(&mut a, &mut b).await;
        close(&relay).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_wrong_token_is_refused_without_a_reply() {
    for side in SIDES {
        every_mode!(|connector, rig| {
            let relay = connector
                .layer_a(expect("alpha"))
                .layer_b(expect("beta"))
                .start();
            let mut said = ["alpha\n", "beta\n"];
            said[side as usize] = "Alpha\n";
            let mut refused = rig.meet(rig.order[0]).await;
            say(&mut refused, said[rig.order[0] as usize]).await;
            if side == rig.order[0] {
                soon(gone(&mut refused)).await;
            } else {
                let mut partner = rig.meet(side).await;
                say(&mut partner, said[side as usize]).await;
                soon(gone(&mut partner)).await;
                if rig.is_dialled(side) {
                    // It was this one's alone.
                    soon(gone(&mut refused)).await;
                }
            }
            assert_eq!(relay.snapshot().total_pairs, 0);
            if rig.is_dialled(Side::A) && rig.is_dialled(Side::B) {
                let error = soon(relay.done()).await.unwrap_err();
                assert!(matches!(error, ConnectorError::Pair { .. }), "{error:?}");
                assert!(is_caused_by::<HandshakeError>(&error), "{error:?}");
            } else {
                // A client that has ended its stream behind its token may want to receive, and keeps its
                // place: one that resets does not. The next are as good as any.
                reset(refused);
                let [mut a, mut b] = rig.pair_saying(["alpha\n", "beta\n"]).await;
                joined(&mut a, &mut b).await;
                close(&relay).await;
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_cut_at_the_deadline_on_either_side() {
    for side in SIDES {
        every_mode!(|connector, rig| {
            let patience = Duration::from_millis(2500);
            let relay = connector
                .layer_a(expect("alpha").timeout(Some(patience)))
                .layer_b(expect("beta").timeout(Some(patience)))
                .start();
            let mut first = rig.meet(rig.order[0]).await;
            let begin = Instant::now();
            if side == rig.order[0] {
                eventually(gone(&mut first)).await;
            } else {
                say(&mut first, ["alpha\n", "beta\n"][rig.order[0] as usize]).await;
                let mut silent = rig.meet(side).await;
                eventually(gone(&mut silent)).await;
                if rig.is_dialled(side) {
                    soon(gone(&mut first)).await;
                }
            }
            assert_eq!(begin.elapsed(), patience, "{} {side}", rig.mode);
            drop(first);
            let both_dialled = rig.is_dialled(Side::A) && rig.is_dialled(Side::B);
            soon(relay.close()).await;
            assert_eq!(relay.done().await.is_err(), both_dialled);
            no_task_left().await;
        });
    }
}
