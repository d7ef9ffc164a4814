use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use ringkeeper_core::config::{ClientAuth, Password, Store, StoreKind, TlsOptions, TlsVersion};
use rustls::Connection;
use sha1::{Digest, Sha1};
use tempfile::TempDir;

use super::explain::explain;
use super::handshake::Failure;
use super::store::{self, Identity, StoreError};
use super::{Peeked, Tls, jks, peek};

/// All of them were made with keytool and openssl; those that are not called after RSA of one key and one certificate.
fn fixture(name: &str, kind: StoreKind, password: &str) -> Store {
    let location = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name);
    let location = location.to_str().expect("a path that is text").to_owned();
    Store {
        key: "ssl.quorum.keyStore.location",
        location,
        password: Password::Text(password.to_owned()),
        kind,
    }
}

/// The options of a server that has the key of the fixtures, and trusts nobody else.
pub(crate) fn of_fixtures() -> TlsOptions {
    TlsOptions {
        prefix: "ssl.quorum.",
        key_store: fixture("own.pem", StoreKind::Pem, ""),
        trust_store: fixture("own.crt.pem", StoreKind::Pem, ""),
        versions: vec![TlsVersion::V1_3, TlsVersion::V1_2],
        cipher_suites: None,
        client_auth: ClientAuth::Need,
        verifies_servers: true,
        verifies_clients: true,
        reverse_look_up: false,
        detection: Duration::from_secs(5),
    }
}

fn identity(name: &str, kind: StoreKind, password: &str) -> Result<Identity, StoreError> {
    store::identity(&fixture(name, kind, password))
}

#[test]
fn each_format_holds_the_same_key_and_certificate() {
    let pem = identity("own.pem", StoreKind::Pem, "").expect("good");
    assert_eq!(pem.chain.len(), 1);
    for (name, kind) in [
        ("own-encrypted.pem", StoreKind::Pem),
        ("own.p12", StoreKind::Pkcs12),
        ("own-legacy.p12", StoreKind::Pkcs12),
        ("own.jks", StoreKind::Jks),
        // As in Java, what is in the file decides.
        ("own.p12", StoreKind::Jks),
        ("own.jks", StoreKind::Pkcs12),
    ] {
        let read = identity(name, kind, "secret").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.chain, pem.chain, "{name}");
        let key = rustls::crypto::ring::sign::any_supported_type(&read.key).expect("a key that can sign");
        let same = rustls::crypto::ring::sign::any_supported_type(&pem.key).expect("a key that can sign");
        assert_eq!(key.public_key(), same.public_key(), "{name}");
    }
}

#[test]
fn each_format_holds_the_same_trusted_certificate() {
    let pem = store::trusted(&fixture("own.crt.pem", StoreKind::Pem, "")).expect("good");
    for (name, kind) in [("trusted.jks", StoreKind::Jks), ("trusted.p12", StoreKind::Pkcs12)] {
        let read = store::trusted(&fixture(name, kind, "secret")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read, pem, "{name}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let refused = |name: &str, kind, password: &str| {
        let error =
            identity(name, kind, password).err().unwrap_or_else(|| panic!("{name} is good")).to_string();
        assert!(error.starts_with("ssl.quorum.keyStore.location=") && error.contains(name), "{error}");
        error
    };
    for (name, kind) in
        [("own.jks", StoreKind::Jks), ("own.p12", StoreKind::Pkcs12), ("own-encrypted.pem", StoreKind::Pem)]
    {
        assert!(refused(name, kind, "other").contains("password is wrong"), "{name}");
    }
    assert!(refused("own-encrypted.pem", StoreKind::Pem, "").contains("its key is encrypted"));
    assert!(refused("absent.pem", StoreKind::Pem, "").contains("cannot be read"));
    assert!(refused("own.crt.pem", StoreKind::Pem, "").contains("no private key"));
    assert!(refused("trusted.jks", StoreKind::Jks, "secret").contains("no private key"));
    assert!(refused("own.pem", StoreKind::Pkcs12, "").contains("no such file, or it is damaged"));
    for (name, kind) in [("unmarked.p12", StoreKind::Pkcs12), ("own.jks", StoreKind::Jks)] {
        let error = store::trusted(&fixture(name, kind, "secret")).expect_err("nothing in it is trusted");
        assert!(error.to_string().contains("keytool -importcert"), "{error}");
    }
    let mut store = fixture("own.p12", StoreKind::Pkcs12, "");
    store.password = Password::File("/nowhere/password".to_owned());
    let error = store::identity(&store).err().expect("no password").to_string();
    assert!(error.contains("/nowhere/password"), "{error}");
}

#[test]
fn a_file_of_javas_that_ends_anywhere_is_an_error_and_no_panic() {
    let whole = std::fs::read(fixture("own.jks", StoreKind::Jks, "").location).expect("a fixture");
    let content = &whole[..whole.len() - 20];
    for len in 4..content.len() {
        assert!(jks::read(&with_digest(&content[..len]), "secret").is_err(), "{len}");
        assert!(jks::read(&whole[..len], "secret").is_err(), "{len}");
    }
}

#[test]
fn a_key_of_javas_without_a_certificate_is_no_identity() {
    let whole = std::fs::read(fixture("own.jks", StoreKind::Jks, "").location).expect("a fixture");
    let number = |at: usize| u32::from_be_bytes(whole[at..at + 4].try_into().expect("four bytes")) as usize;
    // Magic, version, how many entries, what kind this is; its name, its time; the sealed key.
    let name_len = usize::from(u16::from_be_bytes([whole[16], whole[17]]));
    let key_at = 18 + name_len + 8;
    let chain_at = key_at + 4 + number(key_at);
    assert_eq!((number(8), number(12), number(chain_at)), (1, 1, 1), "one key with one certificate");
    let mut bare = whole[..chain_at].to_vec();
    bare.extend([0; 4]);
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("bare.jks");
    std::fs::write(&path, with_digest(&bare)).expect("written");
    let location = path.to_str().expect("a path that is text").to_owned();
    let error = store::identity(&Store { location, ..fixture("own.jks", StoreKind::Jks, "secret") });
    assert!(error.err().expect("no certificate").to_string().contains("no private key"));
}

/// What Java makes of such content with the password of the fixtures.
fn with_digest(content: &[u8]) -> Vec<u8> {
    let password: Vec<u8> = "secret".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let digest = Sha1::new().chain_update(&password).chain_update(b"Mighty Aphrodite").chain_update(content);
    [content, &digest.finalize()[..]].concat()
}

/// Somebody who signs certificates, and a folder for them.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("good");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("good");
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.as_ref().pem()).expect("writable");
        Authority { folder, issuer }
    }

    /// The options of a server with a certificate for these hosts, which trusts whom this one has signed.
    fn options(&self, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) -> TlsOptions {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).expect("good");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("good");
        self.options_of(&(key.serialize_pem() + &signed.pem()), &self.issuer.as_ref().pem())
    }

    fn options_of(&self, own: &str, trusted: &str) -> TlsOptions {
        let write = |text: &str| {
            let number = std::fs::read_dir(self.folder.path()).expect("readable").count();
            let path = self.folder.path().join(format!("{number}.pem"));
            std::fs::write(&path, text).expect("writable");
            let location = path.to_str().expect("a path that is text").to_owned();
            Store { key: "store", location, password: Password::Text(String::new()), kind: StoreKind::Pem }
        };
        TlsOptions { key_store: write(own), trust_store: write(trusted), ..of_fixtures() }
    }
}

/// What both sides make of a handshake on the loopback network, the one that connects by this name.
fn meet(dials: TlsOptions, accepts: TlsOptions, name: &'static str) -> [Result<Connection, String>; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let patience = Duration::from_secs(60);
    let dialler = thread::spawn(move || {
        let (tls, mut stream) =
            (Tls::load(dials).expect("good"), TcpStream::connect(address).expect("listening"));
        // With TLS 1.3 the other side may refuse afterwards.
        let session = tls.connect(&stream, name, patience).and_then(|mut connection| {
            while connection.reader().read(&mut [0]).is_err() {
                if connection.complete_io(&mut stream)? == (0, 0) {
                    return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            Ok(connection)
        });
        session.map_err(|failure| explain(&tls, &failure))
    });
    let (mut stream, remote) = listener.accept().expect("somebody connects");
    let tls = Tls::load(accepts).expect("good");
    assert_eq!(peek(&stream, patience).expect("bytes"), Peeked::Tls);
    let mut session = tls.welcome(&stream, remote, patience);
    if let Ok(connection) = &mut session {
        connection.writer().write_all(b"!").expect("room");
        connection.complete_io(&mut stream).expect("connected");
    }
    drop(stream);
    [dialler.join().expect("no panic"), session.map_err(|failure| explain(&tls, &failure))]
}

#[track_caller]
fn assert_refused(met: &Result<Connection, String>, text: &str) {
    let error = met.as_ref().expect_err("it is refused");
    assert!(error.contains(text), "{error}");
}

#[test]
fn servers_with_certificates_for_their_hosts_meet() {
    let authority = Authority::new("one");
    let both = || (authority.options(&["127.0.0.1"], |_| {}), authority.options(&["zk1.test"], |_| {}));
    let (dials, accepts) = both();
    let [one, other] = meet(dials, accepts, "zk1.test");
    let (one, other) = (one.expect("it meets"), other.expect("it meets"));
    assert_eq!(one.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(other.peer_certificates().map(<[_]>::len), Some(1), "who connects has shown who it is");
    let (dials, mut accepts) = both();
    accepts.versions = vec![TlsVersion::V1_2];
    let [one, _] = meet(dials, accepts, "zk1.test");
    let one = one.expect("it meets");
    assert_eq!(one.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
    let suite = one.negotiated_cipher_suite().expect("chosen").suite();
    assert_eq!(
        suite,
        rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "whose keys do not wear out"
    );
}

#[test]
fn a_certificate_for_another_host_is_refused_on_both_sides() {
    let authority = Authority::new("one");
    let here = || authority.options(&["127.0.0.1"], |_| {});
    let elsewhere = || authority.options(&["zk9.test"], |_| {});
    let [one, _] = meet(here(), elsewhere(), "zk1.test");
    assert_refused(&one, "its certificate is for zk9.test, and not for 127.0.0.1 or zk1.test");
    let [one, other] = meet(elsewhere(), here(), "zk1.test");
    assert_refused(&other, "its certificate is for zk9.test, and not for 127.0.0.1");
    assert_refused(&one, "it does not accept this server's certificate");
    let unasked = TlsOptions { verifies_servers: false, verifies_clients: false, ..elsewhere() };
    let [one, other] = meet(unasked.clone(), unasked, "zk1.test");
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
}

#[test]
fn who_is_not_trusted_or_too_old_is_told_apart() {
    let (authority, stranger) = (Authority::new("one"), Authority::new("another"));
    let good = || authority.options(&["127.0.0.1"], |_| {});
    let [one, _] = meet(good(), stranger.options(&["127.0.0.1"], |_| {}), "127.0.0.1");
    assert_refused(&one, "nobody in ssl.quorum.trustStore.location here has signed it");
    let namesake = Authority::new("one");
    let [one, other] = meet(good(), namesake.options(&["127.0.0.1"], |_| {}), "127.0.0.1");
    assert_refused(&one, "has the name of who has signed it, and another key");
    assert_refused(&other, "it does not accept this server's certificate (DecryptError)");
    let expired =
        authority.options(&["127.0.0.1"], |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    let [one, other] = meet(good(), expired.clone(), "127.0.0.1");
    assert_refused(&one, "its certificate has expired");
    assert_refused(&other, "it does not accept this server's certificate (CertificateExpired)");
    let [_, other] = meet(expired, good(), "127.0.0.1");
    assert_refused(&other, "its certificate has expired");
}

#[test]
fn a_certificate_that_stands_in_the_trust_store_is_trusted_as_it_is() {
    let authority = Authority::new("one");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("good");
    // What `openssl req -x509` makes.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).expect("good").pem();
    let options = authority.options_of(&(key.serialize_pem() + &own), &own);
    let [one, other] = meet(options.clone(), options, "127.0.0.1");
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
}

#[test]
fn keys_as_keytool_makes_them_serve_with_both_versions() {
    for (key, kind, certificate) in
        [("rsa.p12", StoreKind::Pkcs12, "rsa.crt.pem"), ("own.jks", StoreKind::Jks, "own.crt.pem")]
    {
        let options = |versions: &[TlsVersion]| TlsOptions {
            key_store: fixture(key, kind, "secret"),
            trust_store: fixture(certificate, StoreKind::Pem, ""),
            versions: versions.to_vec(),
            ..of_fixtures()
        };
        for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
            let [one, other] = meet(options(&[version]), options(&[version]), "127.0.0.1");
            assert!(one.is_ok() && other.is_ok(), "{key}, {version:?}: {one:?} {other:?}");
        }
        let [one, _] = meet(options(&[TlsVersion::V1_2]), options(&[TlsVersion::V1_3]), "127.0.0.1");
        assert_refused(&one, "it refuses to speak TLS with this server (ProtocolVersion)");
    }
}

#[test]
fn cipher_suites_are_chosen_by_their_names_in_java() {
    let authority = Authority::new("one");
    let with = |names: &[&str]| {
        let names = names.iter().map(ToString::to_string).collect();
        TlsOptions { cipher_suites: Some(names), ..authority.options(&["127.0.0.1"], |_| {}) }
    };
    let chosen = with(&["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "TLS_AES_256_GCM_SHA384"]);
    let [one, _] = meet(chosen, authority.options(&["127.0.0.1"], |_| {}), "127.0.0.1");
    let suite = one.expect("it meets").negotiated_cipher_suite().expect("chosen").suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_AES_256_GCM_SHA384);
    let error = Tls::load(with(&["TLS_RSA_WITH_AES_128_CBC_SHA"])).err().expect("none of them").to_string();
    assert!(error.contains("ssl.quorum.ciphersuites=TLS_RSA_WITH_AES_128_CBC_SHA"), "{error}");
    assert!(error.contains("TLS_AES_128_GCM_SHA256"), "{error}");
}
