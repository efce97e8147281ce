use std::{panic::catch_unwind, time::Duration};

use crate::{IdleTimeoutLayer, LiveLimitLayer, MaxLifetimeLayer};

#[test]
fn zeros_that_would_end_or_stop_everything_are_refused() {
    catch_unwind(|| IdleTimeoutLayer::new(Duration::ZERO)).expect_err("it panics");
    catch_unwind(|| MaxLifetimeLayer::new(Duration::ZERO)).expect_err("it panics");
    catch_unwind(|| LiveLimitLayer::new(0)).expect_err("it panics");
}
