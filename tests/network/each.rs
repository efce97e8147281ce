//! A pool at every address of a name, which changes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
};

use couplet_tests::{Couplet, Process, until};

use crate::{is_wanted, mesh::Mesh};

/// The place of the pool, and of the clients; behind it those of the relays.
const HOME: usize = 0;

struct Place {
    mesh: Mesh,
}

// ===== impl Place =====

impl Place {
    /// From now on the relays have these addresses, by their places.
    fn relays_are(&self, places: &[usize]) {
        let line = |place: &usize| format!("{} relays.test\n", self.mesh.places[*place].ip);
        self.mesh.places[HOME].hosts(&places.iter().map(line).collect::<String>());
    }

    fn relay(&self, place: usize) -> Couplet {
        self.mesh.places[place].couplet(&["rendezvous", "listen:*:4000"])
    }

    /// A client of a relay reaches what is behind the pool, which answers with the same.
    fn echoes(&self, relay: usize) {
        let target = format!("dial:{}:4000,rendezvous=demo", self.mesh.places[relay].ip);
        let guest = self.mesh.places[HOME].couplet(&["listen:127.0.0.1:0", &target]);
        let address = guest.address('A');
        self.mesh.places[HOME].within(|| {
            until("the client is joined", || echo(address).ok());
        });
    }
}

fn echo(address: SocketAddr) -> std::io::Result<()> {
    let mut client = TcpStream::connect(address)?;
    client.set_read_timeout(Some(couplet_tests::LIMIT))?;
    client.write_all(b"hello")?;
    let mut heard = [0; 5];
    client.read_exact(&mut heard)?;
    assert_eq!(&heard, b"hello");
    Ok(())
}

/// Sends what comes back, for ever.
fn server(at: &Mesh) -> SocketAddr {
    let listener = at.places[HOME].within(|| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut &client, &mut &client));
        }
    });
    address
}

#[test]
fn a_pool_waits_at_every_address_of_a_name_and_follows_its_changes() {
    if !is_wanted() {
        return;
    }
    let place = Place { mesh: Mesh::new(4) };
    let behind = server(&place.mesh);
    place.relays_are(&[1, 2]);
    let mut relays = [1, 2, 3].map(|at| Some(place.relay(at)));
    let home = Process::spawn(
        "couplet",
        &mut place.mesh.places[HOME].command(&[
            "dial:relays.test:4000,rendezvous=demo,keep=2,each",
            &format!("dial:{behind}"),
        ]),
    );
    for relay in [1, 2, 1, 2] {
        place.echoes(relay);
    }
    // One has died and another has come: the name is looked up soon after the failure.
    place.relays_are(&[2, 3]);
    relays[0] = None;
    home.find("the address is gone", |line| {
        line.contains("address is gone").then_some(())
    });
    for relay in [2, 3] {
        place.echoes(relay);
    }
}
