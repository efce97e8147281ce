//! One string is one side: its endpoint, then its options.

mod endpoint;
mod help;
pub(crate) mod options;
#[cfg(test)]
mod tests;
mod word;

pub(crate) use self::{
    endpoint::{Endpoint, EndpointFlags, EndpointSpec},
    help::help,
    options::SideLayerSpec,
    word::{Given, Word},
};

use std::time::Duration;

use couplet_connector::{SideLayers, endpoint::AddressError};

use self::options::{ALL, Context, Does, On, SideOption, Value, frame};
use crate::layer_spec::Sourced;

/// What a side is to be.
#[derive(Clone, Debug)]
pub(crate) struct SideSpec {
    pub(crate) endpoint: EndpointSpec,
    /// Top to bottom.
    pub(crate) layers: Vec<SideLayerSpec>,
}

/// What a side is dialled for, if it is dialled and keeps no pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DialledFor {
    /// One pair after the other, of which it is the first.
    Itself,
    /// The connections of the other side.
    Other,
}

// ===== impl SideSpec =====

impl SideSpec {
    /// Reads a side as it is given on the command line.
    pub(crate) fn read(
        input: &str,
        handshake_timeout: Sourced<Option<Duration>>,
        dialled_for: DialledFor,
    ) -> Result<Self, AddressError> {
        let whole = Word {
            input,
            at: 0,
            text: input,
        };
        let (address, mut rest) = whole.cut(',');
        let mut options: Vec<(&SideOption, Given<'_>)> = Vec::new();
        while let Some(words) = rest {
            let (word, behind) = words.cut(',');
            rest = behind;
            take(word, &mut options)?;
        }
        let mut side = Self {
            endpoint: EndpointSpec::new(address.text.parse()?),
            layers: Vec::new(),
        };
        for (option, given) in &options {
            side.set(option, given)?;
        }
        if let Some(target) = side.endpoint.out_of_reach()
            && let Some((_, given)) = options.iter().find(|(option, _)| option.name == "source")
        {
            let source = given.needed()?;
            let message = format!("{target} can't be reached from {}", source.text);
            return Err(source.wrong(message, "both IPv4, or both IPv6"));
        }
        if let Some(frame) = options
            .iter()
            .position(|(option, _)| option.name == frame::FRAME.name)
            && let Some((_, behind)) = options[frame + 1..].iter().find(|(o, _)| o.is_layer())
        {
            let message = "messages are within what all other layers of the side make of them";
            return Err(behind.wrong(message, "`frame` behind it"));
        }
        // By now what a layer may have to know of the endpoint is there.
        for (option, given) in &options {
            if let Does::Layer(layer) | Does::Both(_, layer) = option.does {
                let context = Context {
                    endpoint: &side.endpoint,
                    handshake_timeout,
                    dialled_for,
                };
                let mut spec = layer(given, &context)?;
                for setting in option.settings {
                    spec.explain(setting.name, given.all(setting.name));
                }
                side.layers.push(spec);
            }
        }
        Ok(side)
    }

    /// The layers of its stack.
    pub(crate) fn stack(&self) -> SideLayers {
        let mut layers = SideLayers::new();
        for spec in &self.layers {
            layers.append(spec.layers.clone());
        }
        layers
    }

    fn set(&mut self, option: &SideOption, given: &Given<'_>) -> Result<(), AddressError> {
        let wrong_way = match (option.on, self.endpoint.is_dialled()) {
            (On::Listen, true) => Some("listening"),
            (On::Dial, false) => Some("dialled"),
            _ => None,
        };
        if let Some(right) = wrong_way {
            let message = format!("`{}` is for a {right} side", option.name);
            return Err(given.wrong(message, help::names(self.endpoint.is_dialled())));
        }
        if let Does::Set(set) | Does::Both(set, _) = option.does {
            set(&mut self.endpoint, given)?;
        }
        Ok(())
    }
}

/// Takes one `name=value`: an option of its own, or a setting of one before it.
fn take<'a>(
    word: Word<'a>,
    options: &mut Vec<(&'static SideOption, Given<'a>)>,
) -> Result<(), AddressError> {
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
        if options.iter().any(|(other, _)| other.name == option.name) {
            return Err(name.wrong(format!("`{}` is there twice", option.name), "once"));
        }
        match (option.value, value) {
            (Value::None, Some(value)) => {
                let message = format!("`{}` takes no value", option.name);
                return Err(value.wrong(message, format!("`{}`", option.name)));
            }
            (Value::Needed(form), None) => {
                let message = format!("`{}` needs a value", option.name);
                return Err(name.wrong(message, format!("`{}={form}`", option.name)));
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
        let message = format!("`{setting}` is not a setting of `{option_name}`");
        return Err(name.wrong(message, help::setting_names(option)));
    };
    let Some((_, given)) = options.iter_mut().find(|(o, _)| o.name == option_name) else {
        let message =
            format!("there is no `{option_name}` before it that it could be a setting of");
        let hint = format!("`{option_name}…,{}`", word.text);
        return Err(name.wrong(message, hint));
    };
    if value.is_none() {
        let message = format!("`{}` needs a value", name.text);
        return Err(name.wrong(message, format!("`{}={}`", name.text, known.value)));
    }
    let there = given
        .settings
        .iter()
        .any(|(other, _)| other.text == name.text);
    if there && !known.many {
        return Err(name.wrong(format!("`{}` is there twice", name.text), "once"));
    }
    given.settings.push((name, value));
    Ok(())
}
