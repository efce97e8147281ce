/// Implements [`Handshake`](crate::Handshake) of a connection by the async method `shake` of a clone,
/// whose future is boxed, with the cause under which a refusal counts. For this crate and
/// `couplet-protocols`.
#[doc(hidden)]
#[macro_export]
macro_rules! boxed_handshake {
    ($type:ty => $output:ty, $error:ty $(, $cause:ident)?) => {
        impl<I: couplet_endpoint::Io> $crate::Handshake<couplet_endpoint::Conn<I>> for $type {
            type Output = $output;
            type Error = $error;
            type Future = futures::future::BoxFuture<'static, Result<$output, $error>>;

            fn handshake(&self, conn: couplet_endpoint::Conn<I>) -> Self::Future {
                Box::pin(self.clone().shake(conn))
            }

            $(fn cause(&self) -> $crate::RefusalCause {
                $crate::RefusalCause::$cause
            })?
        }
    };
}
