//! How slots are reserved, taken and given back.

use super::*;

#[test]
#[should_panic(expected = "bound is 0")]
fn a_bound_of_zero_is_refused() {
    let _ = HandshakeLayer::new(silence::<()>).bound(0);
}

#[tokio::test]
async fn a_slot_is_reserved_and_given_back() {
    let mut service = HandshakeLayer::new(silence::<()>)
        .bound(1)
        .layer(Untouchable);
    let mut other = service.clone();
    let mut other_is_ready = becomes_ready::<(), _>(&mut other);

    service.ready().await.unwrap();
    service.ready().await.unwrap(); // Still the same one.
    assert_pending!(other_is_ready.poll());

    let mut shaking = task::spawn(service.call(()));
    assert_pending!(shaking.poll());
    drop(service);
    assert_pending!(other_is_ready.poll());
    assert!(!other_is_ready.is_woken());

    drop(shaking);
    assert!(other_is_ready.is_woken());
    assert_ready_eq!(other_is_ready.poll(), true);
}

#[tokio::test]
async fn a_reserved_slot_is_given_back_with_its_service_and_never_cloned() {
    let mut service = HandshakeLayer::new(silence::<()>)
        .bound(1)
        .layer(Untouchable);
    service.ready().await.unwrap();
    let mut clone = service.clone();
    let mut clone_is_ready = becomes_ready::<(), _>(&mut clone);
    assert_pending!(clone_is_ready.poll());
    drop(service);
    assert!(clone_is_ready.is_woken());
    assert_ready_eq!(clone_is_ready.poll(), true);
}

#[tokio::test]
#[should_panic(expected = "poll_ready comes before call")]
async fn a_clone_that_is_called_panics() {
    let mut service = HandshakeLayer::new(silence::<()>).layer(Untouchable);
    service.ready().await.unwrap();
    drop(service.clone().call(()));
}

#[tokio::test]
async fn each_call_takes_a_slot_of_its_own() {
    let mut service = HandshakeLayer::new(silence::<()>)
        .bound(2)
        .layer(Untouchable);
    let one = service.ready().await.unwrap().call(());
    let two = service.ready().await.unwrap().call(());
    assert_pending!(becomes_ready::<(), _>(&mut service).poll());
    drop(one);
    let three = service.ready().await.unwrap().call(());
    assert_pending!(becomes_ready::<(), _>(&mut service).poll());
    drop((two, three));
}

#[tokio::test]
async fn a_slot_is_free_after_a_refusal() {
    let mut service = HandshakeLayer::new(no::<()>).bound(1).layer(Untouchable);
    for _ in 0..3 {
        assert!(service.ready().await.unwrap().call(()).await.is_err());
    }
}

#[tokio::test]
async fn a_handshake_keeps_its_slot_until_the_inner_service_has_taken_over() {
    let inner = ConcurrencyLimit::new(service_fn(|()| pending::<Result<(), Infallible>>()), 1);
    let mut busy = inner.clone();
    busy.ready().await.unwrap();
    let handshake = ByHand::default();
    let mut service = HandshakeLayer::new(handshake.clone()).bound(1).layer(inner);

    let mut shaking = task::spawn(service.ready().await.unwrap().call(()));
    assert_pending!(shaking.poll());
    handshake.succeed();
    assert_pending!(shaking.poll());
    let mut is_ready = becomes_ready::<(), _>(&mut service);
    assert_pending!(is_ready.poll(), "what waits for the inner is bounded");

    drop(busy);
    assert!(shaking.is_woken());
    assert_pending!(shaking.poll());
    assert!(is_ready.is_woken(), "taken over, though not yet answered");
    assert_ready_eq!(is_ready.poll(), true);
}

#[tokio::test]
async fn a_bound_may_be_as_good_as_none() {
    let handshake = HandshakeLayer::new(no::<()>).bound(usize::MAX);
    let mut service = handshake.layer(Untouchable);
    service.ready().await.unwrap();
}

#[tokio::test]
async fn the_inner_service_has_its_turn_only_after_success() {
    let handshake = ByHand::default();
    let service = HandshakeLayer::new(handshake.clone()).layer(Untouchable);
    let mut shaking = task::spawn(service.oneshot(()));
    assert_pending!(shaking.poll());
    handshake.fail(io::Error::other("no"));
    assert_ready_err!(shaking.poll());

    let inner = ConcurrencyLimit::new(give_back(), 1);
    let mut other = inner.clone();
    let mut service = HandshakeLayer::new(handshake.clone()).layer(inner);
    let mut shaking = task::spawn(service.ready().await.unwrap().call(7));
    assert_pending!(shaking.poll());
    other.ready().await.unwrap(); // Its only place was not taken.
    drop(other);
    handshake.succeed();
    assert_eq!(assert_ready_ok!(shaking.poll()), 7);
}
