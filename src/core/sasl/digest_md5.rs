//! The mechanism DIGEST-MD5 (RFC 2831), as Java has it: without a layer of its own for what comes afterwards (`qop`
//! auth), and without logging in again by what is left of a log-in before.
//!
//! ```text
//!   client                               server
//!     <----- realm, nonce ---------------        challenge
//!     ------ name, cnonce, response ---->        proves that the client knows the password
//!     <----- rspauth --------------------        proves that the server does
//! ```

use std::collections::BTreeMap;
use std::fmt;

use md5::{Digest, Md5};
use thiserror::Error;

use super::directives::{Directives, quoted};

/// What is being authenticated for: both ends have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The protocol, the first part of the digest's URI.
    pub protocol: &'static str,
    /// The server's name, its second part, and the realm that the server offers.
    pub server: &'static str,
}

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Whose.
    pub username: String,
    /// The secret.
    pub password: String,
}

/// The names that a server knows, with their passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users(pub BTreeMap<String, String>);

/// The client's side: answers one challenge, and checks the server's answer to that.
#[derive(Debug)]
pub struct DigestClient {
    service: Service,
    credentials: Credentials,
    cnonce: String,
    /// What the server must answer.
    awaited: Option<String>,
}

/// The server's side: makes one challenge, and judges one response.
#[derive(Debug)]
pub struct DigestServer {
    service: Service,
    nonce: String,
}

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the text of each says what it is")]
pub enum MechanismError {
    #[error("DIGEST-MD5: the peer sent what is no list of directives")]
    Malformed,
    #[error("DIGEST-MD5: the peer sent no {name}")]
    Missing { name: &'static str },
    #[error("DIGEST-MD5: the peer sent {} twice", shown(name))]
    Twice { name: String },
    #[error("DIGEST-MD5: the peer sent another {name} than was awaited")]
    Wrong { name: &'static str },
    #[error("DIGEST-MD5: the peer offers no {name} that this server knows")]
    Unsupported { name: &'static str },
    #[error("DIGEST-MD5: user {} is not known here", shown(username))]
    UnknownUser { username: String },
    #[error("DIGEST-MD5: user {} has another password here", shown(username))]
    WrongPassword { username: String },
    #[error("DIGEST-MD5: user {} may not act as {}", shown(username), shown(authzid))]
    ForAnother { username: String, authzid: String },
    #[error("DIGEST-MD5: the server does not know this server's password: it may not be what it says it is")]
    WrongServer,
}

/// A peer's text as a log may have it: in quotes, in one line, and not all of it if it is long.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_MAX).collect();
    let rest = if start.len() < text.len() { "..." } else { "" };
    format!("{start:?}{rest}")
}

impl DigestClient {
    /// A client that logs in so. `cnonce` must be a value that nobody can guess.
    pub fn new(service: Service, credentials: Credentials, cnonce: String) -> DigestClient {
        DigestClient { service, credentials, cnonce, awaited: None }
    }

    /// The response to the server's challenge.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, MechanismError> {
        let challenge = Directives::parse(challenge)?;
        let nonce = challenge.need("nonce")?;
        if challenge.need("algorithm")? != ALGORITHM {
            return Err(MechanismError::Unsupported { name: "algorithm" });
        }
        let qops = challenge.get("qop").unwrap_or(QOP);
        if !qops.split(|byte| *byte == b',').any(|qop| qop.trim_ascii().eq_ignore_ascii_case(QOP)) {
            return Err(MechanismError::Unsupported { name: "qop" });
        }
        let is_utf8 = match challenge.get("charset") {
            None => false,
            Some(charset) if charset.eq_ignore_ascii_case(b"utf-8") => true,
            Some(_) => return Err(MechanismError::Unsupported { name: "charset" }),
        };
        let realm = challenge.get("realm").unwrap_or_default();
        let uri = self.service.uri();
        let exchange = Exchange {
            username: &self.credentials.username,
            password: &self.credentials.password,
            realm: &String::from_utf8_lossy(realm),
            nonce,
            cnonce: self.cnonce.as_bytes(),
            uri: uri.as_bytes(),
            authzid: Some(self.credentials.username.as_bytes()),
        };
        self.awaited = Some(exchange.digest(""));
        let mut out = Vec::new();
        let mut write = |name: &str, value: &[u8], is_quoted: bool| {
            out.extend(if out.is_empty() { "" } else { "," }.bytes().chain(name.bytes()).chain([b'=']));
            match is_quoted {
                true => quoted(value, &mut out),
                false => out.extend(value),
            }
        };
        if is_utf8 {
            write("charset", b"utf-8", false);
        }
        let username = self.credentials.username.as_bytes();
        write("username", username, true);
        if !realm.is_empty() {
            write("realm", realm, true);
        }
        write("nonce", nonce, true);
        write("nc", NONCE_COUNT, false);
        write("cnonce", self.cnonce.as_bytes(), true);
        write("digest-uri", uri.as_bytes(), true);
        write("maxbuf", b"65536", false);
        write("response", exchange.digest(CLIENT).as_bytes(), false);
        write("qop", QOP, false);
        write("authzid", username, true);
        Ok(out)
    }

    /// Checks the server's proof.
    pub fn check(&self, proof: &[u8]) -> Result<(), MechanismError> {
        let proof = Directives::parse(proof)?;
        let awaited = self.awaited.as_ref().ok_or(MechanismError::WrongServer)?;
        match is_same(proof.need("rspauth")?, awaited.as_bytes()) {
            true => Ok(()),
            false => Err(MechanismError::WrongServer),
        }
    }
}

impl DigestServer {
    /// A server that challenges with this nonce, a value that nobody can guess and that was never used.
    pub fn new(service: Service, nonce: String) -> DigestServer {
        DigestServer { service, nonce }
    }

    /// The challenge.
    pub fn challenge(&self) -> Vec<u8> {
        let Service { server, .. } = self.service;
        format!("realm=\"{server}\",nonce=\"{}\",charset=utf-8,algorithm=md5-sess", self.nonce).into_bytes()
    }

    /// Who the client is, by its response, and the proof that this server knew that.
    pub fn judge(&self, response: &[u8], users: &Users) -> Result<(String, Vec<u8>), MechanismError> {
        let response = Directives::parse(response)?;
        let wrong = |name| MechanismError::Wrong { name };
        if !response.get("charset").is_none_or(|charset| charset.eq_ignore_ascii_case(b"utf-8")) {
            return Err(wrong("charset"));
        }
        let username =
            String::from_utf8(response.need("username")?.to_vec()).map_err(|_| wrong("username"))?;
        let realm = response.get("realm").unwrap_or_default();
        if realm != self.service.server.as_bytes() {
            return Err(wrong("realm"));
        }
        if response.need("nonce")? != self.nonce.as_bytes() {
            return Err(wrong("nonce"));
        }
        if response.need("nc")? != NONCE_COUNT {
            return Err(wrong("nc"));
        }
        if !response.get("qop").is_none_or(|qop| qop.eq_ignore_ascii_case(QOP)) {
            return Err(wrong("qop"));
        }
        let uri = response.need("digest-uri")?;
        if !uri.eq_ignore_ascii_case(self.service.uri().as_bytes()) {
            return Err(wrong("digest-uri"));
        }
        let authzid = response.get("authzid").filter(|authzid| !authzid.is_empty());
        let (cnonce, claimed) = (response.need("cnonce")?, response.need("response")?);
        let Some(password) = users.0.get(&username) else {
            return Err(MechanismError::UnknownUser { username });
        };
        let exchange = Exchange {
            username: &username,
            password,
            realm: self.service.server,
            nonce: self.nonce.as_bytes(),
            cnonce,
            uri,
            authzid,
        };
        if !is_same(claimed, exchange.digest(CLIENT).as_bytes()) {
            return Err(MechanismError::WrongPassword { username });
        }
        let proof = format!("rspauth={}", exchange.digest("")).into_bytes();
        match authzid {
            Some(authzid) if authzid != username.as_bytes() => {
                let authzid = String::from_utf8_lossy(authzid).into_owned();
                Err(MechanismError::ForAnother { username, authzid })
            }
            _ => Ok((username, proof)),
        }
    }
}

/// What both sides know when the client has responded.
struct Exchange<'a> {
    username: &'a str,
    password: &'a str,
    realm: &'a str,
    nonce: &'a [u8],
    cnonce: &'a [u8],
    uri: &'a [u8],
    authzid: Option<&'a [u8]>,
}

impl Exchange<'_> {
    /// The response of the one who says `method`.
    fn digest(&self, method: &str) -> String {
        let secret = [hashed(self.username), hashed(self.realm), hashed(self.password)].join(&b':');
        let mut a1 = Md5::new();
        a1.update(Md5::digest(secret));
        for part in [Some(self.nonce), Some(self.cnonce), self.authzid].into_iter().flatten() {
            a1.update(b":");
            a1.update(part);
        }
        let a2 = Md5::new().chain_update(method).chain_update(b":").chain_update(self.uri).finalize();
        let (a1, a2) = (hex(&a1.finalize()), hex(&a2));
        let parts = [a1.as_bytes(), self.nonce, NONCE_COUNT, self.cnonce, QOP, a2.as_bytes()];
        hex(&Md5::digest(parts.join(&b':')))
    }
}

impl Service {
    fn uri(&self) -> String {
        format!("{}/{}", self.protocol, self.server)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.username)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Users").field(&self.0.keys()).finish()
    }
}

/// A text as it is hashed: in ISO 8859-1 if it can be, otherwise in UTF-8 (RFC 2831 §2.1.2.1).
fn hashed(text: &str) -> Vec<u8> {
    let latin: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
    latin.unwrap_or_else(|| text.as_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares without telling by the time it takes where they differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |found, (one, other)| found | (one ^ other));
    one.len() == other.len() && differences == 0
}

const ALGORITHM: &[u8] = b"md5-sess";
/// How many characters of a peer's text are shown.
const SHOWN_MAX: usize = 64;
const QOP: &[u8] = b"auth";
/// Each log-in has a nonce of its own, which is used once.
const NONCE_COUNT: &[u8] = b"00000001";
/// What the client's digest says, and the server's does not.
const CLIENT: &str = "AUTHENTICATE";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 2831 §4.
    #[test]
    fn digests_are_those_of_the_rfc() {
        let exchange = Exchange {
            username: "chris",
            password: "secret",
            realm: "elwood.innosoft.com",
            nonce: b"OA6MG9tEQGm2hh",
            cnonce: b"OA6MHXh6VqTrRk",
            uri: b"imap/elwood.innosoft.com",
            authzid: None,
        };
        assert_eq!(exchange.digest(CLIENT), "d388dad90d4bbd760a152321f2143af7");
        assert_eq!(exchange.digest(""), "ea40f60335c427b5527b84dbabcdfffd");
    }

    const SERVICE: Service = Service { protocol: "zookeeper-quorum", server: "zk-quorum-sasl-md5" };

    fn credentials(username: &str, password: &str) -> Credentials {
        Credentials { username: username.to_owned(), password: password.to_owned() }
    }

    fn users(username: &str, password: &str) -> Users {
        Users(BTreeMap::from([(username.to_owned(), password.to_owned())]))
    }

    fn log_in(client: &Credentials, users: &Users) -> Result<String, MechanismError> {
        let server = DigestServer::new(SERVICE, "nonce".to_owned());
        let mut client = DigestClient::new(SERVICE, client.clone(), "cnonce".to_owned());
        let (user, proof) = server.judge(&client.respond(&server.challenge())?, users)?;
        client.check(&proof)?;
        Ok(user)
    }

    #[test]
    fn the_texts_are_those_of_java() {
        let server = DigestServer::new(SERVICE, "N".to_owned());
        let challenge = server.challenge();
        assert_eq!(
            String::from_utf8_lossy(&challenge),
            "realm=\"zk-quorum-sasl-md5\",nonce=\"N\",charset=utf-8,algorithm=md5-sess"
        );
        let mut client = DigestClient::new(SERVICE, credentials("us\"er", "p"), "C".to_owned());
        let response = String::from_utf8(client.respond(&challenge).expect("a challenge")).expect("text");
        let (before, after) = response.split_once("response=").expect("a response");
        assert_eq!(
            before,
            "charset=utf-8,username=\"us\\\"er\",realm=\"zk-quorum-sasl-md5\",nonce=\"N\",nc=00000001,cnonce=\"C\",\
             digest-uri=\"zookeeper-quorum/zk-quorum-sasl-md5\",maxbuf=65536,"
        );
        assert_eq!(&after[32..], ",qop=auth,authzid=\"us\\\"er\"");
    }

    #[test]
    fn what_a_peer_says_stays_in_its_line_of_the_log() {
        let username = format!("a\n2026 ERROR {}", "x".repeat(1000));
        let text = MechanismError::UnknownUser { username }.to_string();
        assert!(text.contains("user \"a\\n2026 ERROR xx") && text.contains("\"... is not known"), "{text}");
        assert!(text.len() < 150 && !text.contains('\n'), "{text}");
        let text = MechanismError::UnknownUser { username: "zk".to_owned() }.to_string();
        assert_eq!(text, "DIGEST-MD5: user \"zk\" is not known here");
    }

    #[test]
    fn who_knows_the_password_is_known_and_nobody_else() {
        let known = users("a", "p");
        assert_eq!(log_in(&credentials("a", "p"), &known), Ok("a".to_owned()));
        let wrong = log_in(&credentials("a", "q"), &known);
        assert_eq!(wrong, Err(MechanismError::WrongPassword { username: "a".to_owned() }));
        let unknown = log_in(&credentials("b", "p"), &known);
        assert_eq!(unknown, Err(MechanismError::UnknownUser { username: "b".to_owned() }));
    }

    #[test]
    fn a_response_to_another_challenge_or_for_another_service_proves_nothing() {
        let server = DigestServer::new(SERVICE, "N".to_owned());
        let judged = |response: &str| server.judge(response.as_bytes(), &users("a", "p"));
        let mut client = DigestClient::new(SERVICE, credentials("a", "p"), "C".to_owned());
        let good =
            String::from_utf8(client.respond(&server.challenge()).expect("a challenge")).expect("text");
        assert!(judged(&good).is_ok());
        for (from, to, name) in [
            ("nonce=\"N\"", "nonce=\"M\"", "nonce"),
            ("nc=00000001", "nc=00000002", "nc"),
            ("qop=auth", "qop=auth-conf", "qop"),
            ("zookeeper-quorum/", "zookeeper/", "digest-uri"),
            ("realm=\"zk-quorum-sasl-md5\"", "realm=\"other\"", "realm"),
            ("charset=utf-8", "charset=latin", "charset"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_eq!(judged(&bad), Err(MechanismError::Wrong { name }), "{bad}");
        }
        let another = judged(&good.replace("authzid=\"a\"", "authzid=\"b\""));
        assert_eq!(another, Err(MechanismError::WrongPassword { username: "a".to_owned() }));
        assert_eq!(judged(""), Err(MechanismError::Missing { name: "username" }));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        let mut client = DigestClient::new(SERVICE, credentials("a", "p"), "C".to_owned());
        assert_eq!(client.check(b"rspauth=00"), Err(MechanismError::WrongServer), "it was not even asked");
        client.respond(&DigestServer::new(SERVICE, "N".to_owned()).challenge()).expect("a challenge");
        let wrong = format!("rspauth={}", "0".repeat(32));
        assert_eq!(client.check(wrong.as_bytes()), Err(MechanismError::WrongServer));
        for (challenge, name) in [
            ("nonce=\"N\",algorithm=md5", "algorithm"),
            ("nonce=\"N\",algorithm=md5-sess,qop=\"auth-int, auth-conf\"", "qop"),
            ("nonce=\"N\",algorithm=md5-sess,charset=x", "charset"),
        ] {
            let refused = client.respond(challenge.as_bytes());
            assert_eq!(refused, Err(MechanismError::Unsupported { name }), "{challenge}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = format!("{:?} {:?}", credentials("a", "secret"), users("b", "secret"));
        assert!(!shown.contains("secret") && shown.contains('a') && shown.contains('b'), "{shown}");
    }

    proptest! {
        #[test]
        fn any_name_and_password_will_do(username in ".{1,20}", password in ".{0,20}") {
            let logged_in = log_in(&credentials(&username, &password), &users(&username, &password));
            prop_assert_eq!(logged_in, Ok(username));
        }

        #[test]
        fn no_tokens_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut client = DigestClient::new(SERVICE, credentials("a", "p"), "C".to_owned());
            let _ = client.respond(&bytes);
            prop_assert!(client.check(&bytes).is_err());
            let judged = DigestServer::new(SERVICE, "N".to_owned()).judge(&bytes, &users("a", "p"));
            prop_assert!(judged.is_err());
        }
    }
}
