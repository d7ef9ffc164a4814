//! What servers say to each other before anything else, so that each knows that the other belongs to the ensemble
//! (zab §13, election §2.4).
//!
//! | bytes | field |
//! |------:|-------|
//! | 8 | magic, by which who listens tells a peer that authenticates itself from one that does not |
//! | 4 | status: 0 goes on, 1 it is proven, -1 it is not |
//! | 4 + n | the mechanism's token; null and empty differ |

use thiserror::Error;

use super::{Credentials, DigestClient, DigestServer, MechanismError, Nonces, Service, Users};
use crate::jute::{DecodeError, Reader, Writer};

/// How a server proves to others that it belongs to the ensemble, and has them prove it (`quorum.auth.*`).
#[derive(Clone, Debug)]
pub struct QuorumAuth {
    /// As whom this server logs in where it connects; `None` if it does not (`learnerRequireSasl`).
    pub credentials: Option<Credentials>,
    /// Who may log in here.
    pub users: Users,
    /// Whether nobody is let in who does not (`serverRequireSasl`).
    pub is_required: bool,
    /// What no two log-ins have in common.
    pub nonces: Nonces,
}

/// The side that connected, which logs in.
#[derive(Debug)]
pub struct QuorumClient {
    digest: DigestClient,
    has_responded: bool,
}

/// The side that listens.
#[derive(Debug)]
pub struct QuorumServer {
    digest: DigestServer,
    users: Users,
    is_required: bool,
    is_challenged: bool,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// More must come.
    Awaited,
    /// It is over; what comes from here on is what the connection is for.
    Over(Proof),
    /// The connection must be closed.
    Failed(AuthError),
}

/// Who the peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is this user.
    Of(String),
    /// It did not say, and need not.
    None,
    /// It failed to prove it, and need not.
    Failed(AuthError),
}

/// Why a peer is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the text of each says what it is")]
pub enum AuthError {
    #[error("it does not try to authenticate itself, and must (quorum.auth.serverRequireSasl)")]
    NotTried,
    #[error("{0}")]
    Mechanism(#[from] MechanismError),
    #[error("it sent what is no packet of SASL: {0}")]
    Malformed(#[from] DecodeError),
    #[error("it sent what is no packet of SASL, but {magic:#018x}")]
    NoPacket { magic: i64 },
    #[error(
        "it refuses this server's name and password: see on its side whether section QuorumServer of its log-in file \
         has them"
    )]
    Refused,
    #[error("it answered with status {status}, which comes at another time or never")]
    Unexpected { status: i32 },
}

impl QuorumAuth {
    /// The same for another role, which has nonces of its own.
    pub fn apart(&mut self) -> QuorumAuth {
        QuorumAuth { nonces: self.nonces.apart(), ..self.clone() }
    }

    /// The machine for a connection that this server made; `None` if it does not log in. The first packet is appended
    /// to `out`.
    pub fn client(&mut self, out: &mut Vec<u8>) -> Option<QuorumClient> {
        let credentials = self.credentials.clone()?;
        put(GOES_ON, b"", out);
        let digest = DigestClient::new(SERVICE, credentials, self.nonces.next_nonce());
        Some(QuorumClient { digest, has_responded: false })
    }

    /// The machine for a connection that somebody else made.
    pub fn server(&mut self) -> QuorumServer {
        QuorumServer {
            digest: DigestServer::new(SERVICE, self.nonces.next_nonce()),
            users: self.users.clone(),
            is_required: self.is_required,
            is_challenged: false,
        }
    }
}

impl QuorumClient {
    /// Takes packets from the front of what has come and was not taken, and says how many bytes that is. The answer
    /// is appended to `out`.
    pub fn on_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> (usize, Authentication) {
        let mut done = 0;
        loop {
            let (status, token, len) = match packet(&bytes[done..]) {
                Ok(None) => return (done, Authentication::Awaited),
                Ok(Some(packet)) => packet,
                Err(error) => return (done, Authentication::Failed(error)),
            };
            done += len;
            match self.on_packet(status, token) {
                Ok(Some(response)) => put(GOES_ON, &response, out),
                Ok(None) => return (done, Authentication::Over(Proof::Of(SERVICE.server.to_owned()))),
                Err(error) => return (done, Authentication::Failed(error)),
            }
        }
    }

    fn on_packet(&mut self, status: i32, token: &[u8]) -> Result<Option<Vec<u8>>, AuthError> {
        match (status, self.has_responded) {
            (GOES_ON, false) => {
                self.has_responded = true;
                Ok(Some(self.digest.respond(token)?))
            }
            (PROVEN, true) => {
                self.digest.check(token)?;
                Ok(None)
            }
            (NOT_PROVEN, _) => Err(AuthError::Refused),
            (status, _) => Err(AuthError::Unexpected { status }),
        }
    }
}

impl QuorumServer {
    /// As [`QuorumClient::on_bytes`]. Of a peer that does not log in nothing is taken.
    pub fn on_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> (usize, Authentication) {
        if !self.is_challenged {
            match bytes.first_chunk().map(|magic| i64::from_be_bytes(*magic)) {
                None => return (0, Authentication::Awaited),
                Some(MAGIC) => {}
                Some(_) => return (0, self.untried()),
            }
        }
        let mut done = 0;
        loop {
            let judged = match packet(&bytes[done..]) {
                Ok(None) => return (done, Authentication::Awaited),
                Ok(Some((_, token, len))) => {
                    done += len;
                    self.on_token(token, out)
                }
                Err(error) => Err(error),
            };
            match judged {
                Ok(None) => {}
                Ok(Some(user)) => return (done, Authentication::Over(Proof::Of(user))),
                Err(error) => {
                    put(NOT_PROVEN, b"", out);
                    let is_over = !self.is_required;
                    let failed = if is_over {
                        Authentication::Over(Proof::Failed(error))
                    } else {
                        Authentication::Failed(error)
                    };
                    return (done, failed);
                }
            }
        }
    }

    /// What a peer is that has said nothing, and will not.
    pub fn untried(&self) -> Authentication {
        match self.is_required {
            true => Authentication::Failed(AuthError::NotTried),
            false => Authentication::Over(Proof::None),
        }
    }

    fn on_token(&mut self, token: &[u8], out: &mut Vec<u8>) -> Result<Option<String>, AuthError> {
        if !std::mem::replace(&mut self.is_challenged, true) {
            put(GOES_ON, &self.digest.challenge(), out);
            return Ok(None);
        }
        let (user, proof) = self.digest.judge(token, &self.users)?;
        put(PROVEN, &proof, out);
        Ok(Some(user))
    }
}

fn put(status: i32, token: &[u8], out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.long(MAGIC);
    writer.int(status);
    writer.buffer(Some(token));
}

/// Status, token, and how many bytes it takes.
type Packet<'a> = (i32, &'a [u8], usize);

/// The packet at the front, and its length; `None` if it is not there as a whole.
fn packet(bytes: &[u8]) -> Result<Option<Packet<'_>>, AuthError> {
    let mut reader = Reader::new(bytes);
    let mut read = || {
        let magic = reader.long()?;
        if magic != MAGIC {
            return Err(AuthError::NoPacket { magic });
        }
        let status = reader.int()?;
        let offset = reader.offset();
        match reader.clone().int()? {
            len if len > TOKEN_LEN_MAX => Err(DecodeError::BadLength { offset, len }.into()),
            _ => Ok((status, reader.buffer()?.unwrap_or_default(), reader.offset())),
        }
    };
    match read() {
        Err(AuthError::Malformed(DecodeError::Truncated { .. })) => Ok(None),
        read => read.map(Some),
    }
}

/// What Java has for it.
const MAGIC: i64 = 0x5f24_3501_3501_edcc;
const GOES_ON: i32 = 0;
const PROVEN: i32 = 1;
const NOT_PROVEN: i32 = -1;
const SERVICE: Service = Service { protocol: "zookeeper-quorum", server: "zk-quorum-sasl-md5" };
/// More than any token of the mechanism takes.
const TOKEN_LEN_MAX: i32 = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn auth(password: Option<&str>, is_required: bool) -> QuorumAuth {
        let credentials =
            password.map(|password| Credentials { username: "zk".to_owned(), password: password.to_owned() });
        let users = Users([("zk".to_owned(), "right".to_owned())].into());
        QuorumAuth { credentials, users, is_required, nonces: Nonces::new([7; 32]) }
    }

    /// How it ends for both when bytes come in pieces of this size, with what is sent behind it.
    fn talk(password: &str, is_required: bool, piece: usize) -> (Authentication, Authentication, Vec<u8>) {
        let (mut here, mut there) = (auth(Some(password), true), auth(None, is_required));
        let mut to_server = Vec::new();
        let mut client = here.client(&mut to_server).expect("it logs in");
        let mut server = there.server();
        let (mut to_client, mut client_is, mut server_is) =
            (Vec::new(), Authentication::Awaited, Authentication::Awaited);
        while client_is == Authentication::Awaited {
            for end in (0..=to_server.len()).step_by(piece).chain([to_server.len()]) {
                if server_is == Authentication::Awaited {
                    let (done, is) = server.on_bytes(&to_server[..end.min(to_server.len())], &mut to_client);
                    to_server.drain(..done);
                    server_is = is;
                }
            }
            let (done, is) = client.on_bytes(&to_client, &mut to_server);
            to_client.drain(..done);
            client_is = is;
        }
        (client_is, server_is, to_client)
    }

    #[test]
    fn both_know_each_other_afterwards_however_the_bytes_come() {
        for piece in [1, 7, 1000] {
            let (client, server, rest) = talk("right", true, piece);
            assert_eq!(client, Authentication::Over(Proof::Of("zk-quorum-sasl-md5".to_owned())));
            assert_eq!(server, Authentication::Over(Proof::Of("zk".to_owned())));
            assert_eq!(rest, b"");
        }
    }

    #[test]
    fn a_wrong_password_is_refused_or_let_through_where_none_is_needed() {
        let wrong = AuthError::Mechanism(MechanismError::WrongPassword { username: "zk".to_owned() });
        let (client, server, _) = talk("wrong", true, 1000);
        assert_eq!(client, Authentication::Failed(AuthError::Refused));
        assert_eq!(server, Authentication::Failed(wrong.clone()));
        let (client, server, _) = talk("wrong", false, 1000);
        assert_eq!(client, Authentication::Failed(AuthError::Refused), "it is told so all the same");
        assert_eq!(server, Authentication::Over(Proof::Failed(wrong)));
    }

    #[test]
    fn who_does_not_try_is_known_by_the_first_bytes() {
        let info = [0, 0, 0, 11, 0, 0, 0, 0, 0];
        let mut out = Vec::new();
        assert_eq!(auth(None, true).server().on_bytes(&info[..7], &mut out), (0, Authentication::Awaited));
        let refused = auth(None, true).server().on_bytes(&info, &mut out);
        assert_eq!(refused, (0, Authentication::Failed(AuthError::NotTried)));
        let let_in = auth(None, false).server().on_bytes(&info, &mut out);
        assert_eq!(let_in, (0, Authentication::Over(Proof::None)));
        assert_eq!(out, b"", "nothing is said to it");
        assert!(auth(None, true).client(&mut out).is_none() && out.is_empty());
    }

    #[test]
    fn what_follows_the_last_packet_is_left() {
        let (mut here, mut there) = (auth(Some("right"), true), auth(None, true));
        let (mut sent, mut answered) = (Vec::new(), Vec::new());
        let (mut client, mut server) = (here.client(&mut sent).expect("it logs in"), there.server());
        assert_eq!(server.on_bytes(&sent, &mut answered), (16, Authentication::Awaited));
        sent.clear();
        let len = answered.len();
        assert_eq!(client.on_bytes(&answered, &mut sent), (len, Authentication::Awaited));
        let len = sent.len();
        sent.extend(b"what comes next");
        answered.clear();
        assert_eq!(server.on_bytes(&sent, &mut answered).0, len);
    }

    #[test]
    fn packets_are_those_of_java() {
        let mut first = Vec::new();
        auth(Some("p"), true).client(&mut first);
        assert_eq!(first, [0x5f, 0x24, 0x35, 1, 0x35, 1, 0xed, 0xcc, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut out = Vec::new();
        put(NOT_PROVEN, b"x", &mut out);
        assert_eq!(packet(&out), Ok(Some((-1, &b"x"[..], 17))));
        out[12..16].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(matches!(packet(&out), Err(AuthError::Malformed(DecodeError::BadLength { .. }))));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(mut bytes in prop::collection::vec(any::<u8>(), 0..60), is_packet: bool) {
            if is_packet {
                bytes.splice(0..bytes.len().min(8), MAGIC.to_be_bytes());
            }
            let (mut auth, mut out) = (auth(Some("p"), true), Vec::new());
            let (done, _) = auth.server().on_bytes(&bytes, &mut out);
            prop_assert!(done <= bytes.len());
            let (done, is) = auth.client(&mut out).expect("it logs in").on_bytes(&bytes, &mut out);
            prop_assert!(done <= bytes.len() && !matches!(is, Authentication::Over(_)));
        }
    }
}
