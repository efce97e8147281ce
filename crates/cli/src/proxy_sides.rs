//! What has to hold of sides that are proxies: that their targets are dialled, and that not every client may
//! use them.

use couplet_connector::{
    endpoint::{Address, Host, Side},
    mode::Pairing,
};

use crate::{
    mistake::Mistake,
    plan::{Plan, Sides},
    side::{SideLayerSpec, SideSpec, options::proxy},
};

/// What lets in known clients alone.
const AUTHENTICATE: &[&str] = &["token", "signed-token", "challenge", "noise", "rendezvous"];

/// Checks the sides of a plan.
pub(crate) fn check(plan: &Plan) -> Result<(), Mistake> {
    let (a, b) = match &plan.sides {
        Sides::Two(a, b) => (a, b),
        Sides::Meeting(side, _) => return refuse_in_a_rendezvous(side),
    };
    for (side, spec, other) in [(Side::A, a, b), (Side::B, b, a)] {
        let checked = check_side(side, spec, other, plan.pairing());
        checked.map_err(|mistake| mistake.in_side(side))?;
    }
    Ok(())
}

fn refuse_in_a_rendezvous(side: &SideSpec) -> Result<(), Mistake> {
    match layer(side) {
        None => Ok(()),
        Some(layer) => Err(Mistake::new(
            format!("`{}` is for a side whose partner is dialled", layer.name),
            format!(
                "`couplet {},{} dial:asked`",
                side.endpoint.address, layer.name
            ),
        )),
    }
}

fn check_side(
    side: Side,
    spec: &SideSpec,
    other: &SideSpec,
    pairing: Pairing,
) -> Result<(), Mistake> {
    let is_asked = matches!(spec.endpoint.address, Address::DialAsked);
    if is_asked && spec.endpoint.keep.is_some() {
        let message = "`keep` would dial before a client has asked for a target";
        return Err(Mistake::new(message, "leave it out"));
    }
    if is_asked && (layer(other).is_none() || pairing != Pairing::DialFor(side)) {
        return Err(Mistake::new(
            "no client asks for a target: the other side is no proxy",
            "`listen:PORT,socks5` or `listen:PORT,connect`",
        ));
    }
    if is_asked && spec.endpoint.routes.is_some() {
        let message = "`route` has nothing to choose: the clients ask for the target";
        return Err(Mistake::new(message, "leave it out"));
    }
    let Some(layer) = layer(spec) else {
        return Ok(());
    };
    if !matches!(other.endpoint.address, Address::DialAsked) {
        return Err(Mistake::new(
            format!(
                "`{}` has clients that ask for targets, which are not dialled",
                layer.name
            ),
            "`dial:asked` on the other side",
        ));
    }
    if !is_on_loopback(&spec.endpoint.address) {
        refuse_open(spec, layer)?;
        warn_of_passwords(side, spec, layer);
    }
    Ok(())
}

/// What makes the side a proxy.
fn layer(spec: &SideSpec) -> Option<&SideLayerSpec> {
    let mut layers = spec.layers.iter();
    layers.find(|layer| proxy::NAMES.contains(&layer.name))
}

fn is_on_loopback(address: &Address) -> bool {
    match address {
        Address::Listen(addr) | Address::ListenQuic(addr) => match addr.host() {
            Some(Host::Ip(ip)) => ip.to_canonical().is_loopback(),
            Some(Host::Name(name)) => name
                .as_str()
                .trim_end_matches('.')
                .eq_ignore_ascii_case("localhost"),
            _ => false,
        },
        Address::ListenUnix(_) => true,
        _ => false,
    }
}

fn has(layer: &SideLayerSpec, setting: &str, value: impl Fn(&str) -> bool) -> bool {
    let mut settings = layer.settings.iter();
    settings.any(|it| it.name == setting && value(&it.value))
}

fn has_users(layer: &SideLayerSpec) -> bool {
    // Without the setting there is an explanation of its default.
    let mut settings = layer.settings.iter();
    settings.any(|it| it.name == proxy::USERS_NAME && it.from == crate::layer_spec::Source::Side)
}

/// Refuses a proxy that every machine of the network could use.
fn refuse_open(spec: &SideSpec, layer: &SideLayerSpec) -> Result<(), Mistake> {
    let is_closed = has_users(layer)
        || spec.layers.iter().any(|layer| match layer.name {
            "allow" => true,
            "tls" => has(layer, "client-ca", |_| true) && !has(layer, "client", |it| it == "want"),
            name => AUTHENTICATE.contains(&name),
        });
    match is_closed {
        true => Ok(()),
        false => Err(Mistake::new(
            format!(
                "`{}` would be an open proxy at {}",
                layer.name, spec.endpoint.address
            ),
            format!(
                "`{0}.users=@FILE`, `allow=NETWORK` or `token=@FILE`; without a host it is for this machine \
                 alone",
                layer.name
            ),
        )),
    }
}

fn warn_of_passwords(side: Side, spec: &SideSpec, layer: &SideLayerSpec) {
    let is_encrypted = |layer: &SideLayerSpec| ["tls", "noise"].contains(&layer.name);
    if has_users(layer) && !spec.layers.iter().any(is_encrypted) {
        tracing::warn!(
            %side,
            "clients send their passwords in the clear: `tls` before `{}` encrypts",
            layer.name
        );
    }
}
