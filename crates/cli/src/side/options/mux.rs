//! `mux`: many connections over one, the carrier. What stands before it prepares each carrier, what stands
//! behind it each connection.

use std::num::NonZeroUsize;

use couplet_connector::{SideLayers, endpoint::Address};

use super::{Context, Does, On, SideLayerSpec, SideOption, SideSetting, Value};
use crate::{
    layer_spec::{LayerSpec, Source, Sourced},
    mistake::Mistake,
    mux::{MuxSpec, MuxWay},
    side::{EndpointSpec, Given, Word},
    units::{Limit, count, limit, size},
};

/// The name of the option and of its layer.
pub(crate) const NAME: &str = "mux";

pub(super) static MUX: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Optional("open|accept"),
    help: "many connections over one carrier: open them, or accept those that the peer opens [default: open on a side that is dialled for the other]",
    settings: &[
        setting(
            "carriers",
            "NUMBER",
            "at most this many carriers; a dialled side that accepts has `keep` of them [default: 128 on listen, 16 on dial]",
        ),
        setting(
            "streams",
            "NUMBER",
            "at most this many connections over a carrier at a time [default: 1024]",
        ),
        setting(
            "ping",
            "TIME|never",
            "ping this often; a carrier that is silent twice is given up [default: 30s]",
        ),
        setting(
            "unread",
            "SIZE",
            "hold this much for connections that are not read; a carrier with more than its share is given up [default: 512MiB]",
        ),
    ],
    does: Does::Both(set, layer),
};

const fn setting(name: &'static str, value: &'static str, help: &'static str) -> SideSetting {
    SideSetting {
        name,
        value,
        help,
        many: false,
    }
}

fn set(endpoint: &mut EndpointSpec, given: &Given<'_>) -> Result<(), Mistake> {
    let said = given.value().map(|word| way(word, endpoint)).transpose()?;
    let default = match endpoint.is_dialled() {
        true => MuxWay::Open,
        false => MuxWay::Accept,
    };
    let mut mux = MuxSpec::new(said.unwrap_or(default));
    mux.way = mux.way.unless(said);
    let number = |name| {
        given
            .setting(name)
            .map(|word| word.parse(count))
            .transpose()
    };
    mux.carriers = mux.carriers.unless(number("carriers")?.map(usize::from));
    mux.streams = mux.streams.unless(number("streams")?.map(usize::from));
    let unread = given.setting("unread").map(|word| word.parse(size));
    mux.unread = mux.unread.unless(unread.transpose()?);
    let ping = given.setting("ping").map(|word| word.parse(limit));
    mux.ping = mux.ping.unless(ping.transpose()?.map(Limit::get));
    endpoint.mux = Some(mux);
    Ok(())
}

fn way(word: Word<'_>, endpoint: &EndpointSpec) -> Result<MuxWay, Mistake> {
    match word.text {
        "open" if endpoint.is_dialled() => Ok(MuxWay::Open),
        "open" => Err(word.wrong(
            "`mux=open` is for a dialled side",
            "`mux`: a listening side accepts what its carriers open",
        )),
        "accept" => Ok(MuxWay::Accept),
        text => Err(word.unknown(
            format!("`{text}` is not a way of `mux`"),
            &["open", "accept"],
        )),
    }
}

/// It is known by now which end opens.
fn layer(_: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let mut spec = LayerSpec::new(NAME, SideLayers::new()).copies(None);
    let Some(mux) = &context.endpoint.mux else {
        return Ok(spec);
    };
    let way = match mux.way.value {
        MuxWay::Open => "open",
        MuxWay::Accept => "accept",
    };
    spec = spec.set("way", way, mux.way.from);
    // Those of a pool are `keep`.
    if !(context.endpoint.is_dialled() && mux.way.value == MuxWay::Accept) {
        spec = spec.set("carriers", mux.carriers.value, mux.carriers.from);
    }
    let ping = mux.ping.value.map_or(Limit::Off, Limit::At);
    Ok(spec
        .set("streams", mux.streams.value, mux.streams.from)
        .set("ping", ping, mux.ping.from)
        .set("unread", mux.unread.value.display().iec(), mux.unread.from))
}

/// Refuses what does not go with `mux`, and decides which end opens, where that was not said.
pub(crate) fn check<'a>(
    endpoint: &mut EndpointSpec,
    options: impl Iterator<Item = (&'static str, &'a Given<'a>)> + Clone,
    is_for_others: bool,
) -> Result<(), Mistake> {
    let is_dialled = endpoint.is_dialled();
    let (is_asked, keep) = (
        matches!(endpoint.address, Address::DialAsked),
        endpoint.keep,
    );
    let Some(mux) = &mut endpoint.mux else {
        return Ok(());
    };
    let find = |name: &str| options.clone().find(|(option, _)| *option == name);
    let given = find(NAME).map(|(_, given)| given);
    let wrong = |message: &str, right: &str| match given {
        Some(given) => Err(given.wrong(message, right)),
        None => Ok(()),
    };
    if is_asked {
        return wrong(
            "`mux` dials carriers of one target, and the clients of `dial:asked` ask for many",
            "`dial:HOST:PORT,mux`",
        );
    }
    if find("route").is_some() {
        return wrong(
            "`mux` dials carriers of one target, and `route` leads to many",
            "one of the two",
        );
    }
    let before = options.clone().take_while(|(option, _)| *option != NAME);
    for (option, given) in before {
        if is_dialled && option == "proxy-protocol" {
            return Err(given.wrong(
                "`proxy-protocol` stands before `mux`, and a carrier has no client",
                "`mux` first, then `proxy-protocol`",
            ));
        }
    }
    if is_dialled && mux.way.from == Source::Default && (keep.is_some() || !is_for_others) {
        mux.way.value = MuxWay::Accept;
    }
    if is_dialled && mux.way.value == MuxWay::Accept {
        if mux.carriers.from == Source::Side {
            return wrong(
                "`mux.carriers` bounds carriers that are opened, and this side keeps some",
                "`keep=NUMBER`",
            );
        }
        let keep = *endpoint.keep.get_or_insert(NonZeroUsize::MIN);
        mux.carriers = Sourced {
            value: keep.get().saturating_mul(2),
            from: Source::Default,
        };
    }
    Ok(())
}
