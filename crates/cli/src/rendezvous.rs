//! `couplet rendezvous`: joins clients of one port that present the same key.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use couplet_connector::{
    layers::Replaceable,
    pairing::{Third, WhenFull},
};
use couplet_protocols::{
    Keyring,
    meet::{self, ExpectMeeting},
};

use crate::{
    common::CommonArgs,
    layer_spec::{LayerSpec, Setting, Source, Sourced},
    mistake::{Mistake, Mistakes, first},
    plan::{Meeting, Plan, Sides},
    proxy_sides,
    reload::OnReload,
    side::{DialledFor, SideLayerSpec, SideSpec, SideWords, options::secret},
    units::count,
};

/// How many of one key may wait where it is not said, so that a pool of connections can.
const PER_KEY: usize = 64;

#[derive(Debug, clap::Args)]
pub(crate) struct RendezvousArgs {
    #[arg(
        value_name = "LISTEN",
        help = "The side of all clients: listen:[HOST:]PORT, then ,option[=value]…"
    )]
    side: SideWords,

    /// Accept only clients with a token signed with one of these secrets, `name: secret` a line
    #[arg(long, value_name = "@FILE")]
    tokens: Option<String>,

    /// At most NUMBER clients with the same key, on the same side, that wait [default: 64]
    #[arg(long, value_name = "NUMBER", value_parser = count)]
    max_waiting_per_key: Option<NonZeroUsize>,

    /// When too many clients wait, refuse the new one or evict the one that has waited longest
    /// [default: refuse]
    #[arg(long, value_name = "WHICH")]
    when_full: Option<Full>,

    /// The same, when too many clients with the same key wait [default: refuse]
    #[arg(long, value_name = "WHICH")]
    when_key_full: Option<Full>,

    /// Choose what happens to other clients with the key of a live pair: they wait for each other, are refused
    /// until the pair ends, or are dropped if they wait at the join [default: queue]
    #[arg(long, value_name = "WHAT")]
    others: Option<Others>,

    /// Refuse a client that sends more than its line before the join
    #[arg(long)]
    silent: bool,

    #[command(flatten)]
    pub(crate) common: CommonArgs,

    // The last: its heading is that of all behind it.
    #[cfg(feature = "meeting")]
    #[command(flatten)]
    cluster: crate::cluster::ClusterArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Full {
    Refuse,
    Evict,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Others {
    Queue,
    Refuse,
    LetGo,
}

// ===== impl RendezvousArgs =====

impl RendezvousArgs {
    /// The plan of the rendezvous.
    pub(crate) fn plan(&self) -> Result<Plan, Mistake> {
        self.plan_all()
            .map_err(|wrong| self.side.hide_secrets(first(wrong)))?
            .alone()
    }

    /// The same: all that is wrong.
    pub(crate) fn plan_all(&self) -> Result<Plan, Mistakes> {
        let handshakes = self.common.handshakes();
        let read = SideSpec::read(&self.side, handshakes, DialledFor::Itself);
        let about = |mistake: Mistake| mistake.about("a");
        let mut side =
            read.map_err(|mistakes| mistakes.into_iter().map(about).collect::<Mistakes>())?;
        if side.endpoint.is_dialled() {
            let message = format!(
                "a rendezvous listens, and `{}` dials",
                side.endpoint.address
            );
            return Err(vec![
                Mistake::new(message, "`listen:[HOST:]PORT`").about("a"),
            ]);
        }
        let expect = self
            .expect()
            .map_err(|mistake| vec![mistake.about("tokens")])?;
        side.layers.push(expect);
        let meeting = self.meeting().map_err(|mistake| vec![mistake])?;
        let plan = self.common.plan(Sides::Meeting(side, meeting))?;
        proxy_sides::check(&plan).map_err(|mistake| vec![mistake.about("a")])?;
        plan.refuse_same_address()
            .map_err(|mistake| vec![mistake])?;
        Ok(plan)
    }

    /// The side as it was given, and another in its place.
    pub(crate) fn side_mut(&mut self) -> &mut SideWords {
        &mut self.side
    }

    /// The handshake in which a client sends its key.
    fn expect(&self) -> Result<SideLayerSpec, Mistake> {
        let (part, tokens, from, again) = match self.tokens.clone() {
            None => {
                let part = Replaceable::new(ExpectMeeting::new());
                (part, "off", Source::Default, None)
            }
            Some(file) => {
                let path = file.trim_start_matches('@').to_owned();
                let make = move || {
                    let keyring: Keyring = secret::parse(&file, "--tokens=@FILE")?;
                    Ok(ExpectMeeting::new().tokens(keyring))
                };
                let part = Replaceable::new(
                    make().map_err(|mistake: Mistake| mistake.within("--tokens"))?,
                );
                let again = OnReload::replace_list(part.clone(), &path, make);
                (part, "needed", Source::Flag, Some(again))
            }
        };
        let handshakes = self.common.handshakes();
        let spec = LayerSpec::handshake("rendezvous", handshakes.layer(part));
        let spec = spec.set("tokens", tokens, from);
        Ok(handshakes.explain(spec).on_reload(again))
    }

    fn meeting(&self) -> Result<Meeting, Mistake> {
        let number = |given: Option<NonZeroUsize>, default| {
            Sourced::flag(given.map(NonZeroUsize::get), default)
        };
        let per_key = number(self.max_waiting_per_key, PER_KEY);
        let full = Sourced::flag(self.when_full, Full::Refuse);
        let key_full = Sourced::flag(self.when_key_full, Full::Refuse);
        let others = Sourced::flag(self.others, Others::Queue);
        let mut keyed = meet::by_key()
            .per_key(per_key.value, key_full.value.into())
            .when_full(full.value.into())
            .third(others.value.into());
        let mut settings = vec![
            Setting::new("max-waiting-per-key", per_key.value, per_key.from),
            Setting::new("when-full", full.value.name(), full.from),
            Setting::new("when-key-full", key_full.value.name(), key_full.from),
            Setting::new("others", others.value.name(), others.from),
        ];
        if self.silent {
            keyed = keyed.silent();
            settings.push(Setting::new("silent", "on", Source::Flag));
        }
        #[cfg(feature = "meeting")]
        let cluster = self.cluster.spec(self.common.handshakes())?;
        #[cfg(feature = "meeting")]
        if cluster.is_some() && others.value == Others::Refuse {
            return Err(Mistake::new(
                "`--others=refuse` can't be kept across nodes, which do not know of each other's pairs",
                "leave it out, or `--engine`",
            )
            .about("others"));
        }
        Ok(Meeting {
            keyed,
            settings,
            #[cfg(feature = "meeting")]
            cluster,
        })
    }
}

// ===== impl Full =====

impl Full {
    const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Evict => "evict",
        }
    }
}

impl From<Full> for WhenFull {
    fn from(full: Full) -> Self {
        match full {
            Full::Refuse => Self::Refuse,
            Full::Evict => Self::Evict,
        }
    }
}

// ===== impl Others =====

impl Others {
    const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Refuse => "refuse",
            Self::LetGo => "let-go",
        }
    }
}

impl From<Others> for Third {
    fn from(others: Others) -> Self {
        match others {
            Others::Queue => Self::Queue,
            Others::Refuse => Self::Refuse,
            Others::LetGo => Self::LetGo,
        }
    }
}
