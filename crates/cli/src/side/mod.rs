//! One string is one side: its endpoint, then its options.

mod endpoint;
mod help;
mod in_clear;
pub(crate) mod options;
pub(crate) mod secrets;
#[cfg(test)]
mod tests;
mod through;
mod word;

pub(crate) use self::{
    endpoint::{Endpoint, EndpointFlags, EndpointSpec},
    help::{help, is_option, option_form},
    options::SideLayerSpec,
    through::through,
    word::{Given, SideWords, Word},
};

#[cfg(test)]
pub(crate) use self::help::FLAGS;

use couplet_connector::{
    SideLayers,
    endpoint::{Address, Host},
};

use self::options::{
    ALL, Context, Does, SideOption, TCP_ONLY, Value, frame, proxy, rendezvous, via,
};
use crate::{
    handshakes::Handshakes,
    mistake::{Mistake, Mistakes},
};

/// What a side is to be.
#[derive(Clone, Debug)]
pub(crate) struct SideSpec {
    pub(crate) endpoint: EndpointSpec,
    /// Top to bottom.
    pub(crate) layers: Vec<SideLayerSpec>,
    /// So many of them are those of a carrier, which stand before `mux`.
    carrier: usize,
}

/// What a side is dialled for, if it is dialled and keeps no pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DialledFor {
    /// One pair after the other, of which it is the first.
    Itself,
    /// The only connection of the other side, before that has come.
    Ahead,
    /// The connections of the other side.
    Other,
}

impl SideWords {
    /// The mistake, which shows no secret of this side.
    pub(crate) fn hide_secrets(&self, mistake: Mistake) -> Mistake {
        mistake.hide(self.text(), secrets::within(self))
    }
}

type GivenOption<'a> = (&'static SideOption, Given<'a>);

// ===== impl SideSpec =====

impl SideSpec {
    /// Reads a side as it is given on the command line or in a file, and returns all that is wrong. The
    /// mistakes may show secrets: [`SideWords::hide_secrets`].
    pub(crate) fn read(
        input: &SideWords,
        handshakes: Handshakes,
        dialled_for: DialledFor,
    ) -> Result<Self, Mistakes> {
        let mut words = input.words();
        let address = words.next().unwrap_or(Word {
            input: input.text(),
            at: 0,
            text: input.text(),
        });
        let mut wrong = Mistakes::new();
        let mut options = Vec::new();
        let address_word = address;
        let address = help::address(address).map_err(|mistake| wrong.push(mistake));
        for word in words {
            wrong.extend(take(word, &mut options).err());
        }
        let Ok(address) = address else {
            return Err(wrong);
        };
        let mut side = Self {
            endpoint: EndpointSpec::new(address),
            layers: Vec::new(),
            carrier: 0,
        };
        let mut fit = Vec::new();
        for (option, given) in &options {
            match side.set(option, given) {
                Ok(()) => fit.push((*option, given)),
                Err(mistake) => wrong.push(mistake),
            }
        }
        if wrong.is_empty() {
            // What is true of the side as a whole, one after the other.
            let checked = side
                .check_source(&options)
                .and_then(|()| side.check_family(&options))
                .and_then(|()| side.check_multipath(&options))
                .and_then(|()| side.check_quic(address_word, &options))
                .and_then(|()| side.check_proxies(&options))
                .and_then(|()| side.check_lists(&options))
                .and_then(|()| side.check_each(&options))
                .and_then(|()| side.check_stack(&options))
                .and_then(|()| side.check_mux(&options, dialled_for))
                .and_then(|()| check_order(&options));
            wrong.extend(checked.err());
        }
        // By now what a layer may have to know of the endpoint is there.
        for (option, given) in fit {
            if let Does::Layer(layer) | Does::Both(_, layer) = option.does {
                let context = Context {
                    endpoint: &side.endpoint,
                    handshakes,
                    dialled_for,
                };
                match layer(given, &context) {
                    Ok(mut spec) => {
                        if option.name == MUX {
                            side.carrier = side.layers.len();
                        }
                        for setting in option.settings {
                            spec.explain(setting.name, given.all(setting.name));
                        }
                        side.layers.push(spec);
                    }
                    Err(mistake) => wrong.push(mistake),
                }
            }
        }
        // What a dialled connection goes through: a carrier, where there are some.
        let (carrier, own) = side.layers.split_at(side.carrier);
        let has_mux = side.endpoint.has_mux();
        let through = if has_mux { carrier } else { own };
        side.endpoint.lead_again_through(through);
        if let Some(stack) = &mut side.endpoint.targets.stack {
            *stack = list(through);
        }
        #[cfg(feature = "mux")]
        if let Some(mux) = &mut side.endpoint.mux {
            mux.layers = list(carrier);
        }
        match wrong.is_empty() {
            true => Ok(side),
            false => Err(wrong),
        }
    }

    /// A check would be joined with a client.
    fn check_stack(&self, options: &[GivenOption<'_>]) -> Result<(), Mistake> {
        let mut waits = options.iter().filter(|(o, _)| o.name == rendezvous::NAME);
        match (&self.endpoint.targets.stack, waits.next()) {
            (Some(_), Some((_, given))) => Err(given.wrong(
                "`check.stack=on` can't go through a rendezvous, where a check would meet a client",
                "`check` alone, which connects",
            )),
            _ => Ok(()),
        }
    }

    #[cfg(feature = "mux")]
    fn check_mux(
        &mut self,
        options: &[GivenOption<'_>],
        dialled_for: DialledFor,
    ) -> Result<(), Mistake> {
        let named = options.iter().map(|(option, given)| (option.name, given));
        let is_for_others = dialled_for != DialledFor::Itself;
        options::mux::check(&mut self.endpoint, named, is_for_others)
    }

    #[cfg(not(feature = "mux"))]
    fn check_mux(&self, _: &[GivenOption<'_>], _: DialledFor) -> Result<(), Mistake> {
        Ok(())
    }

    fn check_source(&self, options: &[GivenOption<'_>]) -> Result<(), Mistake> {
        if let Some(target) = self.endpoint.out_of_reach()
            && let Some((_, given)) = options.iter().find(|(option, _)| option.name == "source")
        {
            let source = given.needed()?;
            let message = format!("{target} can't be reached from {}", source.text);
            return Err(source.wrong(message, "both IPv4, or both IPv6"));
        }
        Ok(())
    }

    /// A literal address has a family of its own.
    fn check_family(&self, options: &[GivenOption<'_>]) -> Result<(), Mistake> {
        if let Some(target) = self.endpoint.of_another_family()
            && let Some((_, given)) = options.iter().find(|(option, _)| option.name == "family")
        {
            let family = given.needed()?;
            let message = format!("`{target}` is no address of IPv{}", family.text);
            return Err(family.wrong(message, "leave it out, or dial a name"));
        }
        Ok(())
    }

    /// Of what Multipath TCP lacks in the system nothing is asked for.
    fn check_multipath(&self, options: &[GivenOption<'_>]) -> Result<(), Mistake> {
        let lacking = ["ack-timeout", "user-timeout"];
        let mut lacking = options
            .iter()
            .filter(|(option, _)| lacking.contains(&option.name));
        match lacking.next().filter(|_| self.endpoint.multipath) {
            Some((option, given)) => {
                let message = format!("`{}` does not work over Multipath TCP", option.name);
                Err(given.wrong(message, "leave it out, or `mptcp`"))
            }
            None => Ok(()),
        }
    }

    /// There is no QUIC without TLS.
    fn check_quic(&self, address: Word<'_>, options: &[GivenOption<'_>]) -> Result<(), Mistake> {
        let has_tls = options.iter().any(|(option, _)| option.name == "tls");
        match self.endpoint.is_quic() && !has_tls {
            true if self.endpoint.is_dialled() => Err(address.wrong(
                "QUIC has TLS within, and the side names no CA",
                format!(
                    "`{},tls`, and `tls.ca=CA.pem` for a CA of your own",
                    address.text
                ),
            )),
            true => Err(address.wrong(
                "QUIC has TLS within, and needs a certificate",
                format!("`{},tls=CERT.pem`", address.text),
            )),
            false => Ok(()),
        }
    }

    /// No proxy dials a Unix socket.
    fn check_proxies(&self, options: &[GivenOption<'_>]) -> Result<(), Mistake> {
        let via = options.iter().find(|(option, _)| option.name == via::NAME);
        match (via, self.endpoint.unix_targets().next()) {
            (Some((_, given)), Some(addr)) => {
                let message = format!("no proxy dials `{addr}`");
                Err(given.wrong(message, "targets of TCP alone"))
            }
            _ => Ok(()),
        }
    }

    /// A list of networks can't judge a name that a proxy resolves.
    fn check_lists(&self, options: &[GivenOption<'_>]) -> Result<(), Mistake> {
        let lists = ["allow", "deny"];
        let list = options
            .iter()
            .find(|(option, _)| lists.contains(&option.name));
        match (&self.endpoint.address, list) {
            (Address::Dial(addr), Some((_, given)))
                if !self.endpoint.via.is_empty() && matches!(addr.host(), Host::Name(_)) =>
            {
                let message = format!(
                    "`{}` judges addresses, and the proxy resolves `{}`",
                    given.name.text,
                    addr.host()
                );
                Err(given.wrong(
                    message,
                    "leave it out, or give the address in place of the name",
                ))
            }
            _ => Ok(()),
        }
    }

    /// A pool at every address of a name: of one that is dialled directly.
    fn check_each(&self, options: &[GivenOption<'_>]) -> Result<(), Mistake> {
        let Some((_, each)) = options.iter().find(|(option, _)| option.name == "each") else {
            return Ok(());
        };
        let endpoint = &self.endpoint;
        let foreign = ["check", "route", via::NAME];
        let foreign = options
            .iter()
            .find(|(option, _)| foreign.contains(&option.name));
        match (&endpoint.address, foreign) {
            _ if endpoint.keep.is_none() => Err(each.wrong(
                "`each` is for a pool, and there is none",
                "`keep=NUMBER,each`",
            )),
            (Address::Dial(_), None) => Ok(()),
            (_, Some((option, given))) => {
                let message = format!("`{}` does not go with `each`", option.name);
                Err(given.wrong(message, "leave one of the two out"))
            }
            (address, None) => {
                let message =
                    format!("`each` is for a name with several addresses, and `{address}` is none");
                Err(each.wrong(message, "`dial:HOST:PORT,keep=NUMBER,each`"))
            }
        }
    }

    /// The layers of its stack.
    pub(crate) fn stack(&self) -> SideLayers {
        list(self.own_layers())
    }

    /// Those of its stack, without those of a carrier.
    pub(crate) fn own_layers(&self) -> &[SideLayerSpec] {
        &self.layers[self.carrier..]
    }

    /// Puts a layer above all of its stack.
    pub(crate) fn put_on_top(&mut self, layer: SideLayerSpec) {
        self.layers.insert(self.carrier, layer);
    }

    fn set(&mut self, option: &SideOption, given: &Given<'_>) -> Result<(), Mistake> {
        if let Some(wrong) = help::does_not_fit(option, &self.endpoint) {
            return Err(given.wrong(wrong, help::names(&self.endpoint)));
        }
        if let Address::ListenSystemd(_) = self.endpoint.address
            && let Some(tcp_only) = TCP_ONLY.iter().find(|(name, _)| *name == option.name)
        {
            self.endpoint.tcp_only.get_or_insert(*tcp_only);
        }
        if let Does::Set(set) | Does::Both(set, _) = option.does {
            set(&mut self.endpoint, given)?;
        }
        Ok(())
    }
}

/// The name of the option that carries many connections over one.
const MUX: &str = "mux";

fn list(specs: &[SideLayerSpec]) -> SideLayers {
    let mut layers = SideLayers::new();
    for spec in specs {
        layers.append(spec.layers.clone());
    }
    layers
}

/// The order of the options is the order in which a connection meets their layers.
fn check_order(options: &[GivenOption<'_>]) -> Result<(), Mistake> {
    let position = |name: &str| options.iter().position(|(option, _)| option.name == name);
    if let Some(frame) = position(frame::FRAME.name)
        && let Some((_, behind)) = options[frame + 1..].iter().find(|(o, _)| o.is_layer())
    {
        let message = format!(
            "`{}` stands behind `frame`, and all other layers carry its messages",
            behind.name.text
        );
        return Err(behind.wrong(message, "`frame` as the last option"));
    }
    // The client of a proxy says nothing more before it has its answer, which is sent at the join.
    if let Some(proxy) = proxy::NAMES.into_iter().filter_map(position).min()
        && let Some((_, behind)) = options[proxy + 1..]
            .iter()
            .find(|(o, _)| in_clear::TALKS.contains(&o.name))
    {
        let (option, given) = &options[proxy];
        let message = format!(
            "`{}` stands behind `{}`, whose client waits for its answer",
            behind.name.text, option.name
        );
        let hint = match proxy::NAMES.contains(&behind.name.text) {
            true => "one of them, and another side for the other".to_owned(),
            false => format!("`{}` first, then `{}`", behind.name.text, given.name.text),
        };
        return Err(behind.wrong(message, hint));
    }
    // A peer that challenges us learns no secret, and PROXY headers hold none.
    let encrypted = ["tls", "noise"].into_iter().filter_map(position).min();
    let openly = options.iter().enumerate();
    for (at, (option, given)) in openly.filter(|(_, (o, _))| in_clear::OPEN.contains(&o.name)) {
        let name = option.name;
        let encryption = encrypted.filter(|encrypted| at < *encrypted);
        match (encryption, given.setting(in_clear::CLEAR)) {
            (_, Some(word)) if word.text != in_clear::ALLOW => {
                let message = format!(
                    "`{}` is not a value of `{name}.{}`",
                    word.text,
                    in_clear::CLEAR
                );
                return Err(word.unknown(message, &[in_clear::ALLOW]));
            }
            (None, Some(word)) => {
                let message = format!("`{name}.{}` does nothing here", in_clear::CLEAR);
                let hint = format!("leave it out, as `{name}` stands before no encryption");
                return Err(word.wrong(message, hint));
            }
            (Some(encryption), None) => {
                let encryption = options[encryption].0.name;
                let message = format!(
                    "`{name}` stands before `{encryption}`, so its secret is sent in the clear"
                );
                let hint = format!(
                    "`{encryption}` first, then `{name}`; `{name}.{}={}` insists",
                    in_clear::CLEAR,
                    in_clear::ALLOW
                );
                return Err(given.wrong(message, hint));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes one `name=value`: an option of its own, or a setting of one before it.
fn take<'a>(word: Word<'a>, options: &mut Vec<GivenOption<'a>>) -> Result<(), Mistake> {
    let (name, value) = word.cut('=');
    let (option_name, setting) = match name.text.split_once('.') {
        Some((option, setting)) => (option, Some(setting)),
        None => (name.text, None),
    };
    let Some(option) = ALL.iter().find(|option| option.name == option_name) else {
        let before = options.last().map(|(option, given)| (*option, given));
        return Err(help::unknown(word, name, before));
    };
    let Some(setting) = setting else {
        let there = options.iter().any(|(other, _)| other.name == option.name);
        if there && !option.is_many() {
            return Err(name.wrong(format!("`{}` is given twice", option.name), "give it once"));
        }
        match (option.value, value) {
            (Value::None, Some(value)) => {
                let message = format!("`{}` takes no value", option.name);
                return Err(value.wrong(message, format!("`{}`", option.name)));
            }
            (Value::Needed(form), None) => return Err(name.empty(form, option.help)),
            (Value::Needed(form) | Value::Optional(form), Some(value)) if value.text.is_empty() => {
                return Err(name.empty(form, option.help));
            }
            _ => {}
        }
        let settings = Vec::new();
        options.push((
            option,
            Given {
                name,
                value,
                settings,
            },
        ));
        return Ok(());
    };
    let Some(known) = option.settings.iter().find(|known| known.name == setting) else {
        return Err(help::unknown_setting(name, setting, option));
    };
    let Some((_, given)) = options.iter_mut().rfind(|(o, _)| o.name == option_name) else {
        let message = format!(
            "`{}` is a setting of `{option_name}`, which is missing before it",
            name.text
        );
        let hint = format!("`{},{}=…`", help::form(option), name.text);
        return Err(name.wrong(message, hint));
    };
    if value.is_none_or(|value| value.text.is_empty()) {
        return Err(name.empty(known.value, known.help));
    }
    let there = given
        .settings
        .iter()
        .any(|(other, _)| other.text == name.text);
    if there && !known.many {
        return Err(name.wrong(format!("`{}` is given twice", name.text), "give it once"));
    }
    given.settings.push((name, value));
    Ok(())
}
