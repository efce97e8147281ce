use std::error::Error;

use crate::{dial::DialError, error::is_caused_by};

/// Whether `error`, or one of its causes, is a server that was not reached: a failed dial of a host, a service, a
/// Unix socket or a machine's port of vsock.
///
/// ```
/// use couplet_endpoint::{Dial, is_dial_failure};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BoxError> {
/// let error = Dial::to("127.0.0.1:1")?.connect().await.unwrap_err();
/// assert!(is_dial_failure(&error));
/// # Ok(())
/// # }
/// ```
pub fn is_dial_failure(error: &(dyn Error + 'static)) -> bool {
    let kinds: &[fn(&(dyn Error + 'static)) -> bool] = &[
        is_caused_by::<DialError>,
        #[cfg(feature = "dns")]
        is_caused_by::<crate::SrvDialError>,
        #[cfg(unix)]
        is_caused_by::<crate::UnixDialError>,
        #[cfg(target_os = "linux")]
        is_caused_by::<crate::VsockDialError>,
    ];
    kinds.iter().any(|is| is(error))
}
