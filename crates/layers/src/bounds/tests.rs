use std::{panic::catch_unwind, time::Duration};

use crate::{IdleTimeoutLayer, LiveLimitLayer, MaxLifetimeLayer};

#[test]
fn a_zero_bound_is_refused() {
    catch_unwind(|| IdleTimeoutLayer::new(Duration::ZERO)).expect_err("it panics");
    catch_unwind(|| MaxLifetimeLayer::new(Duration::ZERO)).expect_err("it panics");
    catch_unwind(|| LiveLimitLayer::new(0)).expect_err("it panics");
}
