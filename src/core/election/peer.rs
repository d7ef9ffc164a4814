use std::time::Duration;

use super::connections::{ConnectionAction, Connections, LinkId, Note};
use super::fast_leader::{Election, ElectionAction, Electorate, LastLogged, Outcome};
use crate::config::{ElectionTiming, HostPort, Membership};
use crate::id::{ServerId, Zxid};
use crate::sasl::QuorumAuth;
use crate::time::Instant;

/// A server on the election port: an [`Election`] that talks through [`Connections`].
#[derive(Debug)]
pub struct ElectionPeer {
    connections: Connections,
    election: Election,
    heard: Vec<ConnectionAction>,
    said: Vec<ElectionAction>,
}

/// What a server on the election port wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of ConnectionAction")]
pub enum Action {
    /// As [`ConnectionAction::Dial`]; answered by [`ElectionPeer::on_dialled`] or `on_closed`.
    Dial { link: LinkId, peer: ServerId, addresses: Vec<HostPort> },
    /// As [`ConnectionAction::Write`]; answered by [`ElectionPeer::on_written`].
    Write { link: LinkId, bytes: Vec<u8> },
    /// As [`ConnectionAction::Close`].
    Close { link: LinkId },
    /// Something for the log.
    Note { link: LinkId, note: Note },
    /// Another server goes by this configuration, which is newer. This server does so too from now on, and is
    /// told so by [`ElectionPeer::reconfigure`].
    Adopt(Membership),
    /// As [`ElectionAction::AskOracle`]; answered by [`ElectionPeer::on_oracle`].
    AskOracle,
    /// The election is over. Other servers are still answered.
    Decided(Outcome),
}

impl ElectionPeer {
    /// Starts to look for a leader. `advertised` are this server's own election addresses, `peers` those
    /// of the other servers.
    pub fn start(
        electorate: Electorate,
        advertised: Vec<HostPort>,
        peers: impl IntoIterator<Item = (ServerId, Vec<HostPort>)>,
        timing: ElectionTiming,
        last_logged: LastLogged,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> ElectionPeer {
        let connections = Connections::new(electorate.me, advertised, peers, timing);
        let mut said = Vec::new();
        let election = Election::start(electorate, timing, last_logged, now, &mut said);
        let mut peer = ElectionPeer { connections, election, heard: Vec::new(), said };
        peer.settle(now, out);
        peer
    }

    /// As [`Connections::authenticate_by`].
    pub fn authenticate_by(&mut self, auth: QuorumAuth) {
        self.connections.authenticate_by(auth);
    }

    /// As [`Election::look`].
    pub fn look(&mut self, last_logged: LastLogged, now: Instant, out: &mut Vec<Action>) {
        self.election.look(last_logged, now, &mut self.said);
        self.settle(now, out);
    }

    /// The servers are others from now on, as in [`ElectionPeer::start`]. Ignored if it is older than what this
    /// server has adopted since.
    pub fn reconfigure(
        &mut self,
        electorate: Electorate,
        advertised: Vec<HostPort>,
        peers: impl IntoIterator<Item = (ServerId, Vec<HostPort>)>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.connections.reconfigure(advertised, peers, now, &mut self.heard);
        self.election.reconfigure(electorate, now, &mut self.said);
        self.settle(now, out);
    }

    /// As [`Election::designate`].
    pub fn designate(&mut self, leader: ServerId, zxid: Zxid, now: Instant, out: &mut Vec<Action>) {
        self.election.designate(leader, zxid, &mut self.said);
        self.settle(now, out);
    }

    /// As [`Election::avoid`].
    pub fn avoid(&mut self, pause: Duration, now: Instant) {
        self.election.avoid(pause, now);
    }

    /// As [`Election::on_oracle`].
    pub fn on_oracle(&mut self, grants: bool, now: Instant, out: &mut Vec<Action>) {
        self.election.on_oracle(grants, now, &mut self.said);
        self.settle(now, out);
    }

    /// As [`Election::on_epoch`].
    pub fn on_epoch(&mut self, epoch: i64) {
        self.election.on_epoch(epoch);
    }

    /// As [`Connections::on_accepted`].
    pub fn on_accepted(&mut self, now: Instant, out: &mut Vec<Action>) -> LinkId {
        let link = self.connections.on_accepted(now, &mut self.heard);
        self.settle(now, out);
        link
    }

    /// As [`Connections::on_dialled`].
    pub fn on_dialled(&mut self, link: LinkId, now: Instant, out: &mut Vec<Action>) {
        self.connections.on_dialled(link, now, &mut self.heard);
        self.settle(now, out);
    }

    /// As [`Connections::on_closed`].
    pub fn on_closed(&mut self, link: LinkId, now: Instant, out: &mut Vec<Action>) {
        self.connections.on_closed(link, now, &mut self.heard);
        self.settle(now, out);
    }

    /// As [`Connections::on_written`].
    pub fn on_written(&mut self, link: LinkId, now: Instant, out: &mut Vec<Action>) {
        self.connections.on_written(link, now, &mut self.heard);
        self.settle(now, out);
    }

    /// As [`Connections::on_received`].
    pub fn on_received(&mut self, link: LinkId, bytes: &[u8], now: Instant, out: &mut Vec<Action>) {
        self.connections.on_received(link, bytes, now, &mut self.heard);
        self.settle(now, out);
    }

    /// Time has passed; to be called at [`ElectionPeer::next_timeout`], and harmless at other times.
    pub fn on_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.connections.on_timeout(now, &mut self.heard);
        self.settle(now, out);
        self.election.on_timeout(now, &mut self.said);
        self.settle(now, out);
    }

    /// When something is to be done if nothing happens before; `None` if nothing is.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.connections.next_timeout().into_iter().chain(self.election.next_timeout()).min()
    }

    /// The election that talks here.
    pub fn election(&self) -> &Election {
        &self.election
    }

    /// The connections that it talks through.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Lets the two machines hear of each other until neither has anything to say.
    fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        while !self.said.is_empty() || !self.heard.is_empty() {
            for action in std::mem::take(&mut self.said) {
                match action {
                    ElectionAction::Send { to, notification } => {
                        self.connections.send(to, notification, now, &mut self.heard);
                    }
                    ElectionAction::Adopt(membership) => out.push(Action::Adopt(membership)),
                    ElectionAction::AskOracle => out.push(Action::AskOracle),
                    ElectionAction::Decided(outcome) => {
                        self.connections.stop_asking();
                        out.push(Action::Decided(outcome));
                    }
                }
            }
            for action in std::mem::take(&mut self.heard) {
                let said = &mut self.said;
                match action {
                    ConnectionAction::Dial { link, peer, addresses } => {
                        out.push(Action::Dial { link, peer, addresses });
                    }
                    ConnectionAction::Write { link, bytes } => out.push(Action::Write { link, bytes }),
                    ConnectionAction::Close { link } => out.push(Action::Close { link }),
                    ConnectionAction::Note { link, note } => out.push(Action::Note { link, note }),
                    ConnectionAction::Connected { peer } => self.election.on_connected(peer, said),
                    ConnectionAction::Disconnected { peer } => self.election.on_disconnected(peer, now, said),
                    ConnectionAction::Received { from, notification } => {
                        self.election.on_notification(from, &notification, now, said);
                    }
                }
            }
        }
    }
}
