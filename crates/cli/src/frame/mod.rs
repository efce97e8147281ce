//! `frame=…`: the messages in which a side speaks.

mod codec;

use std::fmt;

use bytesize::ByteSize;
use couplet_connector::layers::{Codec, Transform, TransformLayer, payload::codec::WholeItems};

use self::codec::Framing;
use crate::{
    layer_spec::{Source, Sourced},
    pair::PairLayerSpec,
};

/// How messages are told apart on a side, and how long they may be.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) form: Form,
    pub(crate) max: Sourced<ByteSize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    /// Before each is its length, in this many bytes.
    Length(usize, Order),
    /// Each ends with one of these bytes; when we write it, with the first.
    Ends(Vec<u8>),
    /// They are not: what comes in one go is one.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    HighFirst,
    LowFirst,
}

// ===== impl Frame =====

impl Frame {
    /// What a side speaks that says nothing of it, while the other speaks so. An end of a message
    /// stays there what it is; a length goes.
    fn other(&self) -> Self {
        match self.form {
            Form::Ends(_) => self.clone(),
            Form::Length(..) | Form::Plain => Self {
                form: Form::Plain,
                max: self.max,
            },
        }
    }

    fn framing(&self) -> Framing {
        Framing::new(&self.form, self.longest())
    }

    /// In bytes; no more than its length can say.
    fn longest(&self) -> usize {
        let max = usize::try_from(self.max.value.as_u64()).unwrap_or(usize::MAX);
        match self.form {
            Form::Length(bytes @ 1..=3, _) => max.min((1 << (8 * bytes)) - 1),
            _ => max,
        }
    }
}

/// The layer of the pair where either side speaks in messages: a message of the one is a message of
/// the other.
pub(crate) fn spec(a: Option<&Frame>, b: Option<&Frame>) -> Option<PairLayerSpec> {
    let from = |given: Option<&Frame>| match given {
        Some(_) => Source::Side,
        None => Source::Default,
    };
    let sources = [from(a), from(b)];
    let (a, b) = match (a, b) {
        (None, None) => return None,
        (Some(a), Some(b)) => (a.clone(), b.clone()),
        (Some(a), None) => (a.clone(), a.other()),
        (None, Some(b)) => (b.other(), b.clone()),
    };
    let codec = |from: &Frame, to: &Frame| {
        let (from, to) = (from.clone(), to.clone());
        move || between(&from, &to)
    };
    let layer = TransformLayer::new()
        .a_to_b(codec(&a, &b))
        .b_to_a(codec(&b, &a));
    let spec = PairLayerSpec::wrapper("frame", layer)
        .set("a", &a.form, sources[0])
        .set("b", &b.form, sources[1])
        .set("a-max", a.max.value, a.max.from)
        .set("b-max", b.max.value, b.max.from);
    Some(spec)
}

/// Makes the messages of the one those of the other.
pub(crate) fn between(from: &Frame, to: &Frame) -> impl Transform + use<> {
    let shortest = from.longest().min(to.longest());
    let from = from.framing().pieces(shortest);
    Codec::new(WholeItems::new(from), to.framing())
}

// ===== impl Form =====

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("plain"),
            Self::Ends(ends) if ends == b"\n" => f.write_str("lines"),
            Self::Ends(ends) => {
                f.write_str("delimiter:")?;
                ends.iter().try_for_each(|end| write!(f, "{end:02x}"))
            }
            Self::Length(bytes, Order::HighFirst) => write!(f, "length:{bytes}"),
            Self::Length(bytes, Order::LowFirst) => write!(f, "length:{bytes}le"),
        }
    }
}
