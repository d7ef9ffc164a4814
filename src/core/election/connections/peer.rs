use std::time::Duration;

use super::LinkId;
use crate::config::HostPort;
use crate::election::notification::Notification;
use crate::time::Instant;

/// What is known of a server and the ways to it.
#[derive(Debug)]
pub(super) struct Peer {
    /// Where its line in the configuration says that it is. Empty for a stranger.
    pub(super) configured: Vec<HostPort>,
    /// Where it said itself that it is.
    pub(super) advertised: Vec<HostPort>,
    /// The one connection with it.
    pub(super) link: Option<LinkId>,
    /// The connection to it that is being made.
    pub(super) dial: Option<LinkId>,
    /// The last message for it, if it has not left yet.
    pub(super) unsent: Option<Notification>,
    /// It asked to be called back.
    pub(super) call_back: bool,
    /// When it was called back last.
    pub(super) called_back_at: Option<Instant>,
    /// When it was dialled last.
    pub(super) dialled_at: Option<Instant>,
    /// How often in a row dialling it led to no connection that lasted.
    pub(super) failures: u32,
    /// How long it may leave a vote unanswered.
    pub(super) patience: Duration,
}

impl Peer {
    pub(super) fn new(configured: Vec<HostPort>) -> Peer {
        Peer {
            configured,
            advertised: Vec::new(),
            link: None,
            dial: None,
            unsent: None,
            call_back: false,
            called_back_at: None,
            dialled_at: None,
            failures: 0,
            patience: PATIENCE_MIN,
        }
    }

    /// Whether there is a reason to connect to it, and nobody is at it.
    pub(super) fn wants_dial(&self) -> bool {
        let is_wanted = self.unsent.is_some() || self.call_back;
        is_wanted && self.link.is_none() && self.dial.is_none() && !self.addresses().is_empty()
    }

    /// When it may be dialled next. Who knocks is there, whatever came of earlier attempts, and may be about to decide
    /// without this server.
    pub(super) fn dial_at(&self) -> Instant {
        if self.call_back {
            return self.called_back_at.map_or_else(Instant::default, |last| last + RETRY_MIN);
        }
        let Some(last) = self.dialled_at else { return Instant::default() };
        let doublings = self.failures.min(RETRY_DOUBLINGS_MAX);
        last + (RETRY_MIN * (1 << doublings)).min(RETRY_MAX)
    }

    /// Where to dial it: at what it said itself and at what the configuration says.
    pub(super) fn addresses(&self) -> Vec<HostPort> {
        let mut addresses = self.advertised.clone();
        let more = self.configured.iter().filter(|address| !self.advertised.contains(address));
        addresses.extend(more.cloned());
        addresses
    }

    pub(super) fn is_stranger(&self) -> bool {
        self.configured.is_empty()
    }

    /// A stranger with whom there is nothing left to do.
    pub(super) fn is_forgettable(&self) -> bool {
        self.is_stranger() && self.link.is_none() && self.dial.is_none() && !self.wants_dial()
    }

    pub(super) fn lose_patience(&mut self) {
        self.patience = (self.patience * 2).min(PATIENCE_MAX);
    }

    pub(super) fn regain_patience(&mut self) {
        self.patience = PATIENCE_MIN;
    }
}

/// The first pause between two attempts to reach a server; the next ones double.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// The longest pause: a healed network is noticed within this time.
const RETRY_MAX: Duration = Duration::from_secs(5);
const RETRY_DOUBLINGS_MAX: u32 = 10;
/// A server that is there mostly answers a vote at once, or sends its own again before long.
const PATIENCE_MIN: Duration = Duration::from_secs(2);
/// Twice the time between the votes of a Java server that has been looking for long, which answers none that tells it
/// nothing new, and none of a server that is not to be trusted. That a machine is gone, TCP finds out sooner.
const PATIENCE_MAX: Duration = Duration::from_secs(120);
