use std::rc::Rc;

use ringkeeper_core::sasl::{Authentication, Proof, QuorumClient, QuorumServer};
use tracing::{info, warn};

use super::link::{Link, Taken};

/// What a connection must pass before it is used: one end proves by SASL who it is, and the other one too.
pub(super) struct Gate<M> {
    link: Rc<Link>,
    /// None once it is passed.
    machine: Option<M>,
}

/// How far bytes that have come have got.
pub(super) enum Passed {
    /// More of them are needed.
    Not(Taken),
    /// The connection is to be closed.
    Never,
    /// What is behind so many bytes is what the connection is for.
    From(usize),
}

/// Either end's part in it.
pub(super) trait Authenticates {
    /// Takes bytes from the front, and says how many; what is to be answered is appended to `out`.
    fn on_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> (usize, Authentication);
}

impl Authenticates for QuorumClient {
    fn on_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> (usize, Authentication) {
        QuorumClient::on_bytes(self, bytes, out)
    }
}

impl Authenticates for QuorumServer {
    fn on_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> (usize, Authentication) {
        QuorumServer::on_bytes(self, bytes, out)
    }
}

impl<M: Authenticates> Gate<M> {
    /// A gate that is open if there is no machine.
    pub(super) fn new(link: Rc<Link>, machine: Option<M>) -> Gate<M> {
        Gate { link, machine }
    }

    /// Takes what the gate is to have of the bytes that have come.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Passed {
        let Some(machine) = &mut self.machine else { return Passed::From(0) };
        let mut answer = Vec::new();
        let (done, is) = machine.on_bytes(bytes, &mut answer);
        if !answer.is_empty() {
            self.link.push(|out| out.append(&mut answer));
            self.link.flush();
        }
        let remote = self.link.remote();
        match is {
            Authentication::Awaited => return Passed::Not(Taken { done, wanted: 0 }),
            Authentication::Failed(error) => {
                warn!("Failed to authenticate using SASL: the connection with {remote} is closed: {error}");
                return Passed::Never;
            }
            Authentication::Over(Proof::Of(user)) => {
                info!("Successfully completed the authentication using SASL with {remote}: it is {user}");
            }
            Authentication::Over(Proof::Failed(error)) => warn!(
                "Failed to authenticate using SASL: {remote} is let through all the same, since \
                 quorum.auth.serverRequireSasl is false: {error}"
            ),
            Authentication::Over(Proof::None) => {}
        }
        self.machine = None;
        Passed::From(done)
    }
}
