//! How servers prove to each other by SASL who they are, before a connection is used (election §2.4).

use super::note::Note;
use super::{ConnectionAction, Connections, Link, LinkId};
use crate::election::initial_message::InitialMessage;
use crate::sasl::{Authentication, Proof, QuorumServer};
use crate::time::Instant;

impl Connections {
    /// Judges what has come on an accepted connection.
    pub(super) fn judge(&mut self, link: LinkId, now: Instant, out: &mut Vec<ConnectionAction>) {
        let Some(Link::Judged { message, auth, frames, .. }) = self.links.get_mut(&link) else { return };
        let mut bytes = Vec::new();
        let (done, is) = auth.on_bytes(frames.rest(), &mut bytes);
        frames.skip(done);
        let peer = message.server;
        if !bytes.is_empty() {
            out.push(ConnectionAction::Write { link, bytes });
        }
        match is {
            Authentication::Awaited => return,
            Authentication::Failed(error) => {
                return self.close_with(link, Note::NotAuthenticated { peer, error }, out);
            }
            Authentication::Over(proof) => note(link, Note::of(peer, proof), out),
        }
        if let Some(Link::Judged { message, frames, .. }) = self.links.remove(&link) {
            self.on_trusted(link, message, frames, now, out);
        }
    }

    /// Goes on proving to the server that was dialled who this one is.
    pub(super) fn prove(&mut self, link: LinkId, now: Instant, out: &mut Vec<ConnectionAction>) {
        let Some(Link::Proving { peer, auth, frames, .. }) = self.links.get_mut(&link) else { return };
        let (peer, mut bytes) = (*peer, Vec::new());
        let (done, is) = auth.on_bytes(frames.rest(), &mut bytes);
        frames.skip(done);
        if !bytes.is_empty() {
            out.push(ConnectionAction::Write { link, bytes });
        }
        match is {
            Authentication::Awaited => {}
            Authentication::Failed(error) => {
                self.close_with(link, Note::NotAuthenticated { peer, error }, out);
                self.dial_failed(peer);
            }
            Authentication::Over(proof) => {
                note(link, Note::of(peer, proof), out);
                if let Some(Link::Proving { frames, .. }) = self.links.remove(&link) {
                    self.on_reached(link, peer, frames, now, out);
                    self.take_frames(link, now, out);
                }
            }
        }
    }

    /// Who was to prove who it is has not done so in time.
    pub(super) fn on_untried(&mut self, link: LinkId, now: Instant, out: &mut Vec<ConnectionAction>) {
        let Some(Link::Judged { message, auth, frames, .. }) = self.links.remove(&link) else { return };
        match auth.untried() {
            Authentication::Failed(error) => {
                self.close_with(link, Note::NotAuthenticated { peer: message.server, error }, out);
            }
            _ => self.on_trusted(link, message, frames, now, out),
        }
    }

    /// Who was to prove who it is has gone: a server with a smaller id that need not prove it has knocked.
    pub(super) fn on_ended_untried(
        &mut self,
        link: LinkId,
        message: InitialMessage,
        auth: &QuorumServer,
        now: Instant,
        out: &mut Vec<ConnectionAction>,
    ) {
        let peer = message.server;
        match auth.untried() {
            Authentication::Failed(error) => note(link, Some(Note::NotAuthenticated { peer, error }), out),
            _ if peer < self.me => self.call_back(peer, message, now, out),
            _ => {}
        }
    }
}

impl Note {
    /// What is worth telling of a proof.
    fn of(peer: crate::id::ServerId, proof: Proof) -> Option<Note> {
        match proof {
            Proof::Of(user) => Some(Note::Authenticated { peer, user }),
            Proof::Failed(error) => Some(Note::LetThrough { peer, error }),
            Proof::None => None,
        }
    }
}

fn note(link: LinkId, note: Option<Note>, out: &mut Vec<ConnectionAction>) {
    out.extend(note.map(|note| ConnectionAction::Note { link, note }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ElectionTiming, HostPort};
    use crate::election::{Notification, PeerState, VERSION, Vote};
    use crate::id::{ServerId, Zxid};
    use crate::sasl::{Credentials, Nonces, QuorumAuth, Users};

    /// Two servers, one of which has dialled the other.
    struct Pair {
        dialler: Connections,
        acceptor: Connections,
        link: LinkId,
        accepted: LinkId,
        now: Instant,
    }

    const PLAIN: Option<QuorumAuth> = None;

    fn sasl(password: Option<&str>, is_required: bool) -> Option<QuorumAuth> {
        let users = Users([("zk".to_owned(), "right".to_owned())].into());
        let log_in =
            |password: &str| Credentials { username: "zk".to_owned(), password: password.to_owned() };
        let nonces = Nonces::new([u8::from(is_required); 32]);
        Some(QuorumAuth { credentials: password.map(log_in), users, is_required, nonces })
    }

    fn connections(id: i64, auth: Option<QuorumAuth>) -> Connections {
        let at = |id: i64| vec![HostPort { host: format!("zk{id}"), port: 3888 }];
        let peers = [(ServerId(1), at(1)), (ServerId(2), at(2))];
        let mut connections = Connections::new(ServerId(id), at(id), peers, ElectionTiming::default());
        auth.into_iter().for_each(|auth| connections.authenticate_by(auth));
        connections
    }

    fn vote() -> Notification {
        let vote = Vote { epoch: 0, zxid: Zxid::ZERO, leader: ServerId(1) };
        Notification { state: PeerState::Looking, vote, round: 1, version: VERSION, config: Vec::new() }
    }

    impl Pair {
        fn new(dialler: (i64, Option<QuorumAuth>), acceptor: (i64, Option<QuorumAuth>)) -> Pair {
            let (from, to, now) = (dialler.0, acceptor.0, Instant::from_ms(10_000));
            let (dialler, acceptor) =
                (connections(dialler.0, dialler.1), connections(acceptor.0, acceptor.1));
            let mut pair = Pair { dialler, acceptor, link: LinkId(0), accepted: LinkId(0), now };
            let mut out = Vec::new();
            pair.dialler.send(ServerId(to), vote(), now, &mut out);
            assert!(matches!(out[..], [ConnectionAction::Dial { .. }]), "server {from} dials");
            pair
        }

        /// Lets each hear what the other says until neither says anything; what they did besides, at the two ends.
        fn talk(&mut self) -> (Vec<String>, Vec<String>) {
            let (mut there, mut here) = (Vec::new(), Vec::new());
            self.accepted = self.acceptor.on_accepted(self.now, &mut there);
            self.dialler.on_dialled(self.link, self.now, &mut here);
            let (mut did_here, mut did_there) = (Vec::new(), Vec::new());
            while !here.is_empty() || !there.is_empty() {
                for action in std::mem::take(&mut here) {
                    match action {
                        ConnectionAction::Write { bytes, .. } => {
                            self.dialler.on_written(self.link, self.now, &mut here);
                            self.acceptor.on_received(self.accepted, &bytes, self.now, &mut there);
                        }
                        ConnectionAction::Close { .. } => {
                            did_here.push("close".to_owned());
                            self.acceptor.on_closed(self.accepted, self.now, &mut there);
                        }
                        ConnectionAction::Connected { peer } => {
                            did_here.push("connected".to_owned());
                            self.dialler.send(peer, vote(), self.now, &mut here);
                        }
                        action => did_here.push(short(action)),
                    }
                }
                for action in std::mem::take(&mut there) {
                    match action {
                        ConnectionAction::Write { bytes, .. } => {
                            self.dialler.on_received(self.link, &bytes, self.now, &mut here);
                        }
                        ConnectionAction::Close { .. } => {
                            did_there.push("close".to_owned());
                            self.dialler.on_closed(self.link, self.now, &mut here);
                        }
                        action => did_there.push(short(action)),
                    }
                }
            }
            (did_here, did_there)
        }
    }

    fn short(action: ConnectionAction) -> String {
        match action {
            ConnectionAction::Note { note, .. } => {
                note.to_string().split(':').next().unwrap_or_default().to_owned()
            }
            ConnectionAction::Connected { .. } => "connected".to_owned(),
            ConnectionAction::Received { .. } => "a vote".to_owned(),
            ConnectionAction::Dial { .. } => "dial".to_owned(),
            other => format!("{other:?}"),
        }
    }

    const PROVEN: [&str; 2] = [
        "Successfully completed the authentication using SASL with server 1",
        "Successfully completed the authentication using SASL with server 2",
    ];
    const FAILED: &str = "Failed to authenticate using SASL";

    #[test]
    fn votes_go_over_a_connection_once_both_ends_have_proven_who_they_are() {
        let (here, there) = Pair::new((2, sasl(Some("right"), true)), (1, sasl(None, true))).talk();
        assert_eq!(here, [PROVEN[0], "connected"]);
        assert_eq!(there, [PROVEN[1], "connected", "a vote"]);
    }

    #[test]
    fn who_knocks_proves_who_it_is_before_it_is_called_back() {
        let (here, there) = Pair::new((1, sasl(Some("right"), true)), (2, sasl(None, true))).talk();
        assert_eq!(here, [PROVEN[1], "Have smaller server identifier, so dropping the connection", "close"]);
        assert_eq!(there, [PROVEN[0], "close", "dial"]);
    }

    #[test]
    fn who_does_not_log_in_is_let_in_or_called_back_unless_it_must() {
        let (_, there) = Pair::new((2, PLAIN), (1, sasl(None, false))).talk();
        assert_eq!(there, ["connected", "a vote"]);
        let (_, there) = Pair::new((1, PLAIN), (2, sasl(None, false))).talk();
        assert_eq!(there, ["dial"]);
        let (_, there) = Pair::new((2, PLAIN), (1, sasl(None, true))).talk();
        assert_eq!(there, [FAILED, "close"]);
        let (_, there) = Pair::new((1, PLAIN), (2, sasl(None, true))).talk();
        assert_eq!(there, [FAILED], "it knocks in vain");
    }

    #[test]
    fn a_wrong_password_ends_the_connection() {
        let (here, there) = Pair::new((2, sasl(Some("wrong"), true)), (1, sasl(None, true))).talk();
        assert_eq!(here[..2], [FAILED, "close"]);
        assert_eq!(there[..2], [FAILED, "close"]);
    }

    #[test]
    fn a_server_without_sasl_is_no_match_for_one_that_logs_in() {
        let (here, there) = Pair::new((2, sasl(Some("right"), true)), (1, PLAIN)).talk();
        assert_eq!(here, [FAILED]);
        assert!(there.iter().any(|line| line == "close"), "it takes the first packet for a frame: {there:?}");
    }

    #[test]
    fn who_says_nothing_is_given_up_in_time_and_may_be_let_in() {
        for is_required in [false, true] {
            let mut acceptor = connections(1, sasl(None, is_required));
            let (now, mut out) = (Instant::from_ms(10_000), Vec::new());
            let link = acceptor.on_accepted(now, &mut out);
            acceptor.on_received(link, &2i64.to_be_bytes(), now, &mut out);
            assert_eq!(out, []);
            let until = acceptor.next_timeout().expect("a limit");
            acceptor.on_timeout(until, &mut out);
            let done: Vec<String> = out.drain(..).map(short).collect();
            match is_required {
                false => assert_eq!(done, ["connected"]),
                true => assert!(done[0].starts_with(FAILED) && done.len() == 2, "{done:?}"),
            }
        }
    }
}
