/// The methods of a service around `inner` that reach the service within.
macro_rules! inner_accessors {
    () => {
        /// The service within.
        pub const fn get_ref(&self) -> &S {
            &self.inner
        }

        /// The service within.
        pub const fn get_mut(&mut self) -> &mut S {
            &mut self.inner
        }

        /// The service within.
        pub fn into_inner(self) -> S {
            self.inner
        }
    };
}

pub(crate) use inner_accessors;
