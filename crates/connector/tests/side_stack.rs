//! What every side stack ends in: a place, a dial, or the delivery to a dial.

mod helper;

use std::{convert::Infallible, io};

use couplet_connector::{
    Connector, Handle, SideLayers,
    endpoint::{BoxError, BoxIo, Conn, Info, Side, dial_by, memory},
    layers::HandshakeLayer,
    mode::{Pairing, Way},
    pairing::Keyed,
};
use helper::*;
use tower::{ServiceExt, layer::layer_fn, service_fn};

#[tokio::test]
async fn each_constructor_pairs_as_pairing_says() {
    use Way::{Comes, Dialled};
    let keyed = || Keyed::new(|_: &Info| Some(1));
    let pairing = |relay: Handle| relay.pairing();

    let expected = Pairing::of(Comes, Comes, false);
    assert_eq!(pairing(listen_listen().0.start()), expected);
    let expected = Pairing::of(Comes, Comes, true);
    assert_eq!(pairing(listen_listen().0.once().start()), expected);

    let expected = Pairing::of(Comes, Dialled, false);
    assert_eq!(pairing(listen_dial().0.start()), expected);
    let expected = Pairing::of(Comes, Dialled, true);
    assert_eq!(pairing(listen_dial().0.once().start()), expected);

    let expected = Pairing::of(Dialled, Comes, false);
    assert_eq!(pairing(dial_listen().0.start()), expected);
    let expected = Pairing::of(Dialled, Comes, true);
    assert_eq!(pairing(dial_listen().0.once().start()), expected);

    let expected = Pairing::of(Dialled, Dialled, false);
    assert_eq!(pairing(dial_dial().0.start()), expected);

    let by_key = listen_listen().0.by_key(keyed());
    assert_eq!(pairing(by_key.start()), Pairing::Keyed);
    let keyed = Connector::keyed(memory::endpoint().1, keyed());
    assert_eq!(pairing(keyed.start()), Pairing::Keyed);
}

/// It need not be able to dial without a client.
#[tokio::test(start_paused = true)]
async fn dial_by_chooses_side_a_by_the_client_of_b() {
    let (target, mut servers) = memory::endpoint();
    let (clients, listen) = memory::endpoint();
    let dial = dial_by(move |client: &Info| {
        assert_eq!(client.side, Some(Side::B));
        Ok::<_, Infallible>(target.clone())
    });
    let relay = Connector::dial_listen(dial, listen).start();
    let mut client = clients.connect().await.unwrap();
    let mut server = soon(accept(&mut servers)).await;
    joined(&mut server, &mut client).await;
    close(&relay).await;
}

/// Each client in turn, and its server.
async fn next(clients: &memory::Dial, servers: &mut memory::Listen) -> [memory::MemoryStream; 2] {
    let client = clients.connect().await.expect("it listens");
    [client, soon(accept(servers)).await]
}

/// A layer of a dialled side that makes a connection anew, with another id: no dial knows it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_lost_its_info_ends_its_pair_alone() {
    let (dial, mut servers) = memory::endpoint();
    let (clients, listen) = memory::endpoint();
    let mut n = 0;
    let loses = layer_fn(move |inner: couplet_connector::stack::Slot| {
        inner.map_request(move |conn: Conn<BoxIo>| {
            n += 1;
            match n {
                1 => Conn::new(conn.io, conn.info.origin),
                _ => conn,
            }
        })
    });
    let relay = Connector::listen_dial(listen, dial).layer_b(loses).start();
    let [mut client, mut server] = next(&clients, &mut servers).await;
    soon(gone(&mut client)).await;
    soon(gone(&mut server)).await;
    assert_eq!(relay.snapshot().b.refused, 1);
    assert_eq!(relay.snapshot().a.refused, 1);
    close(&relay).await;
}

/// A layer of a dialled side that answers for itself.
#[tokio::test(start_paused = true)]
async fn a_layer_that_keeps_a_connection_ends_its_pair_alone() {
    let (dial, mut servers) = memory::endpoint();
    let (clients, listen) = memory::endpoint();
    let keeps = layer_fn(|_: couplet_connector::stack::Slot| {
        service_fn(|_: Conn<BoxIo>| async { Ok::<_, BoxError>(()) })
    });
    let relay = Connector::listen_dial(listen, dial).layer_b(keeps).start();
    let [mut client, mut server] = next(&clients, &mut servers).await;
    soon(gone(&mut client)).await;
    soon(gone(&mut server)).await;
    assert_eq!(relay.live_pairs(), 0);
    close(&relay).await;
}

/// A list over layers that keep their types, and a list over a list.
#[tokio::test(start_paused = true)]
async fn a_list_of_layers_goes_anywhere_in_a_stack() {
    fn says(
        byte: u8,
    ) -> HandshakeLayer<
        impl couplet_connector::layers::Handshake<
            Conn<BoxIo>,
            Output = Conn<BoxIo>,
            Error = io::Error,
            Future: Send + 'static,
        > + Clone,
    > {
        HandshakeLayer::new(move |mut conn: Conn<BoxIo>| async move {
            say(&mut conn.io, [byte]).await;
            Ok::<_, io::Error>(conn)
        })
    }
    fn list(bytes: &[u8]) -> SideLayers {
        let mut layers = SideLayers::new();
        for byte in bytes {
            layers.push(says(*byte));
        }
        layers
    }
    every_mode!(|connector, rig| {
        let relay = connector
            .layer_a(list(b"1"))
            .layer_a(says(b'2'))
            .layer_a(list(b"34"))
            .layer_a(list(b""))
            .layer_b(says(b'1'))
            .layer_b(list(b"23"))
            .layer_b(says(b'4'))
            .start();
        let [mut a, mut b] = rig.pair().await;
        hears(&mut a, "1234").await;
        hears(&mut b, "1234").await;
        joined(&mut a, &mut b).await;
        close(&relay).await;
    });
}
