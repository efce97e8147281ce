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

/// Makes a service of a layer: one with the layer's settings around the service within.
macro_rules! layer_and_service {
    ($layer:ident => $service:ident) => {
        impl<S> tower_layer::Layer<S> for $layer {
            type Service = $service<S>;

            fn layer(&self, inner: S) -> $service<S> {
                let layer = self.clone();
                $service { layer, inner }
            }
        }

        impl<S> $service<S> {
            $crate::accessors::inner_accessors!();
        }
    };
}

pub(crate) use layer_and_service;
