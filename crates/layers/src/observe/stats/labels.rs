/// An enum of what a metric tells apart: all of its values, and a word for each.
macro_rules! labels {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$of:meta])* $value:ident = $word:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, derive_more::Display,
        )]
        #[display("{}", self.label())]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$of])* $value,)*
        }

        impl $name {
            /// All values, each at its number.
            pub const ALL: &[Self] = &[$(Self::$value),*];

            /// The value in one word, for a label.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }
    };
}

pub(super) use labels;
