//! No process takes over another: there are no Unix sockets.

use std::convert::Infallible;

#[cfg(feature = "admin")]
use couplet_connector::endpoint::Address;

use super::{given::Given, relays::Relays};
use crate::config::Config;
#[cfg(feature = "admin")]
use crate::{
    admin::{AdminEndpoint, AdminServing},
    incoming::Kept,
};

#[derive(Debug)]
pub(crate) struct TakeOver(Infallible);

pub(super) struct Taker {
    pub(super) pid: Option<u32>,
    never: Infallible,
}

pub(super) enum NextEvent {
    Connects(Taker),
    Runs(Taker),
}

pub(super) struct Before(Given);

pub(super) struct Next {
    #[cfg(feature = "admin")]
    pub(super) admin: Option<AdminServing>,
}

impl Taker {
    pub(super) async fn left(self) {
        match self.never {}
    }
}

impl Before {
    pub(super) async fn take(_: Option<&TakeOver>) -> anyhow::Result<Self> {
        Ok(Self(Given::default()))
    }

    pub(super) fn refuse(&self, _: &Config) -> anyhow::Result<()> {
        Ok(())
    }

    #[cfg(feature = "admin")]
    pub(super) fn admin(&mut self, _: &Address) -> Option<Kept> {
        None
    }

    pub(super) fn given(&mut self) -> &mut Given {
        &mut self.0
    }

    pub(super) async fn finish(self) -> anyhow::Result<bool> {
        Ok(false)
    }
}

impl Next {
    pub(super) async fn open(_: Option<TakeOver>, _: &mut Before) -> anyhow::Result<Self> {
        Ok(Self {
            #[cfg(feature = "admin")]
            admin: None,
        })
    }

    #[cfg(feature = "admin")]
    pub(super) fn keep_admin(&mut self, _: &AdminEndpoint) -> std::io::Result<()> {
        Ok(())
    }

    pub(super) async fn event(&mut self) -> NextEvent {
        std::future::pending().await
    }

    pub(super) fn give(&mut self, _: Taker, _: &Relays) {}

    pub(super) fn leave_paths(&self, _: bool) {}

    pub(super) fn leave(&mut self) {}
}
