//! What every side stack ends in: a place, a dial, or the delivery to a dial.

mod helper;

use std::{convert::Infallible, io};

use couplet_connector::{
    Connector, SideLayers,
    endpoint::{BoxError, BoxIo, Conn, Info, Side, dial_by, memory},
    layers::HandshakeLayer,
    mode::{Pairing, Way},
    pairing::Keyed,
};
use helper::*;
use tower::{ServiceExt, layer::layer_fn, service_fn};

#[test]
fn each_constructor_pairs_as_pairing_says() {
    use Way::{Comes, Dialled};
    let keyed = || Keyed::new(|_: &Info| Some(1));
    let (both_listen, _rig) = listen_listen();
    assert_eq!(both_listen.pairing(), Pairing::of(Comes, Comes, false));
    assert_eq!(both_listen.by_key(keyed()).pairing(), Pairing::Keyed);
    let (both_listen, _rig) = listen_listen();
    let once = both_listen.once();
    assert_eq!(once.pairing(), Pairing::of(Comes, Comes, true));

    let (b_is_dialled, _rig) = listen_dial();
    assert_eq!(b_is_dialled.pairing(), Pairing::of(Comes, Dialled, false));
    let once = b_is_dialled.once();
    assert_eq!(once.pairing(), Pairing::of(Comes, Dialled, true));

    let (a_is_dialled, _rig) = dial_listen();
    assert_eq!(a_is_dialled.pairing(), Pairing::of(Dialled, Comes, false));
    let once = a_is_dialled.once();
    assert_eq!(once.pairing(), Pairing::of(Dialled, Comes, true));

    let (both_dialled, _rig) = dial_dial();
    assert_eq!(both_dialled.pairing(), Pairing::of(Dialled, Dialled, false));

    let keyed = Connector::keyed(memory::endpoint().1, keyed());
    assert_eq!(keyed.pairing(), Pairing::Keyed);
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
