//! Every mode, with its peers in memory.

use couplet_connector::{
    Connector,
    endpoint::{
        Side,
        memory::{self, MemoryStream},
    },
    mode::{DialForA, DialForB, InTurn, Meet},
};
use futures::{FutureExt, StreamExt};

use super::{SIDES, say, settle, soon};

/// The peers of a connector in memory.
pub(crate) struct Rig {
    pub(crate) mode: &'static str,
    /// In the order in which the connector gets its connections for one pair.
    pub(crate) order: [Side; 2],
    a: Peers,
    b: Peers,
}

/// The peers of a side.
pub(crate) enum Peers {
    Come(memory::Dial),
    AreDialled(memory::Listen),
}

/// Runs the block for each of the four modes, with a connector of it and its [`Rig`].
#[macro_export]
macro_rules! every_mode {
    (|$connector:ident, $rig:ident| $block:block) => {
        #[allow(unused_mut, reason = "not every block meets a peer")]
        {
            let ($connector, mut $rig) = $crate::helper::listen_listen();
            $block
            let ($connector, mut $rig) = $crate::helper::listen_dial();
            $block
            let ($connector, mut $rig) = $crate::helper::dial_listen();
            $block
            let ($connector, mut $rig) = $crate::helper::dial_dial();
            $block
        }
    };
}

/// Runs the block for each mode that has a setting for one pair, and one that joins one pair
/// anyway, with a connector that joins one and its [`Rig`].
#[macro_export]
macro_rules! every_mode_once {
    (|$connector:ident, $rig:ident| $block:block) => {
        #[allow(unused_mut, reason = "not every block meets a peer")]
        {
            let ($connector, mut $rig) = $crate::helper::listen_listen();
            let $connector = $connector.once();
            $block
            let ($connector, mut $rig) = $crate::helper::listen_dial();
            let $connector = $connector.once();
            $block
            let ($connector, mut $rig) = $crate::helper::dial_listen();
            let $connector = $connector.once();
            $block
            let ($connector, mut $rig) = $crate::helper::dial_dial();
            $block
        }
    };
}

pub(crate) fn listen_listen() -> (Connector<Meet>, Rig) {
    let ((a, listen_a), (b, listen_b)) = (memory::endpoint(), memory::endpoint());
    let rig = Rig {
        mode: "listen + listen",
        order: [Side::A, Side::B],
        a: Peers::Come(a),
        b: Peers::Come(b),
    };
    (Connector::listen_listen(listen_a, listen_b), rig)
}

pub(crate) fn listen_dial() -> (Connector<DialForA<memory::Dial>>, Rig) {
    let ((a, listen_a), (dial_b, b)) = (memory::endpoint(), memory::endpoint());
    let rig = Rig {
        mode: "listen + dial",
        order: [Side::A, Side::B],
        a: Peers::Come(a),
        b: Peers::AreDialled(b),
    };
    (Connector::listen_dial(listen_a, dial_b), rig)
}

pub(crate) fn dial_listen() -> (Connector<DialForB<memory::Dial>>, Rig) {
    let ((dial_a, a), (b, listen_b)) = (memory::endpoint(), memory::endpoint());
    let rig = Rig {
        mode: "dial + listen",
        order: [Side::B, Side::A],
        a: Peers::AreDialled(a),
        b: Peers::Come(b),
    };
    (Connector::dial_listen(dial_a, listen_b), rig)
}

pub(crate) fn dial_dial() -> (Connector<InTurn<memory::Dial>>, Rig) {
    let ((dial_a, a), (dial_b, b)) = (memory::endpoint(), memory::endpoint());
    let rig = Rig {
        mode: "dial + dial",
        order: [Side::A, Side::B],
        a: Peers::AreDialled(a),
        b: Peers::AreDialled(b),
    };
    (Connector::dial_dial(dial_a, dial_b), rig)
}

// ===== impl Rig =====

impl Rig {
    /// The next connection on that side.
    #[track_caller]
    pub(crate) fn meet(&mut self, side: Side) -> impl Future<Output = MemoryStream> {
        soon(self.peers(side).meet())
    }

    /// The two ends of the next pair.
    pub(crate) async fn pair(&mut self) -> [MemoryStream; 2] {
        self.pair_saying(["", ""]).await
    }

    /// The two ends of the next pair, each of which says something first.
    pub(crate) async fn pair_saying(&mut self, first: [&str; 2]) -> [MemoryStream; 2] {
        let mut one = self.meet(self.order[0]).await;
        say(&mut one, first[self.order[0] as usize]).await;
        let mut other = self.meet(self.order[1]).await;
        say(&mut other, first[self.order[1] as usize]).await;
        match self.order {
            [Side::A, _] => [one, other],
            [Side::B, _] => [other, one],
        }
    }

    /// Whether the test has met every peer that was dialled.
    pub(crate) async fn nobody_dialled(&mut self) -> bool {
        settle().await;
        SIDES.map(|side| self.peers(side).dialled()) == [false; 2]
    }

    pub(crate) fn is_dialled(&self, side: Side) -> bool {
        let peers = match side {
            Side::A => &self.a,
            Side::B => &self.b,
        };
        matches!(peers, Peers::AreDialled(_))
    }

    /// Does the connector listen, on any side?
    pub(crate) fn is_listened_to(&self) -> bool {
        [&self.a, &self.b].into_iter().any(|peers| match peers {
            Peers::Come(dial) => dial.connect().now_or_never().is_none_or(|io| io.is_ok()),
            Peers::AreDialled(_) => false,
        })
    }

    /// No client comes to that side any more, and no server can be dialled there.
    pub(crate) fn closes(&mut self, side: Side) {
        *self.peers(side) = Peers::Come(memory::endpoint().0);
    }

    fn peers(&mut self, side: Side) -> &mut Peers {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

// ===== impl Peers =====

impl Peers {
    async fn meet(&mut self) -> MemoryStream {
        match self {
            Self::Come(dial) => dial.connect().await.expect("it listens"),
            Self::AreDialled(listen) => accept(listen).await,
        }
    }

    fn dialled(&mut self) -> bool {
        match self {
            Self::Come(_) => false,
            Self::AreDialled(listen) => listen.next().now_or_never().flatten().is_some(),
        }
    }
}

/// The next connection that was dialled.
pub(crate) async fn accept(listen: &mut memory::Listen) -> MemoryStream {
    let conn = listen.next().await.expect("it may be dialled again");
    conn.expect("in memory nothing fails").io
}
