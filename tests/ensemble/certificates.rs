//! Keys and certificates for servers, in the files that ZooKeeper's keys name.

use std::fs;
use std::path::{Path, PathBuf};

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, LocalKeyId, PrivateKey, PrivateKeyChain};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use ringkeeper_kit::server::Settings;
use tempfile::TempDir;

/// Somebody who signs servers' certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("good");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Authority { issuer: CertifiedIssuer::self_signed(params, key).expect("good") }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.issuer.as_ref().pem()
    }
}

/// The files of all servers of an ensemble: `<id>.p12`, opened by what is in `password`, and `<id>-trusted.pem`.
pub(crate) struct Files {
    folder: TempDir,
    /// Whether certificates are for the hosts of servers, and servers insist on it.
    have_hosts: bool,
}

impl Files {
    /// Those of servers that `authority` has signed for, and that trust it.
    pub(crate) fn new(ids: &[u8], authority: &Authority) -> Files {
        Files::made(ids, authority, true)
    }

    /// The same with certificates for some other host, which servers don't mind unless they are told to.
    pub(crate) fn of_other_hosts(ids: &[u8], authority: &Authority) -> Files {
        Files::made(ids, authority, false)
    }

    fn made(ids: &[u8], authority: &Authority, have_hosts: bool) -> Files {
        let files = Files { folder: TempDir::new().expect("a folder"), have_hosts };
        fs::write(files.path("password"), format!("{PASSWORD}\n")).expect("writable");
        for id in ids {
            files.sign(*id, authority);
            files.trust(*id, &[authority]);
        }
        files
    }

    /// Gives a server a new key, and a certificate for the addresses that it may have on the loopback network.
    pub(crate) fn sign(&self, id: u8, authority: &Authority) {
        let key = KeyPair::generate().expect("a key");
        let hosts = match self.have_hosts {
            true => vec!["127.0.0.1".to_owned(), format!("127.0.1.{id}")],
            false => vec!["elsewhere.test".to_owned()],
        };
        let params = CertificateParams::new(hosts).expect("good");
        let certificate = params.signed_by(&key, &authority.issuer).expect("good");
        let chain = PrivateKeyChain::new(
            LocalKeyId(vec![id]),
            PrivateKey::from_der(key.serialized_der()).expect("a key"),
            [Certificate::from_der(certificate.der()).expect("a certificate")],
        );
        let mut store = KeyStore::new();
        store.add_entry("server", KeyStoreEntry::PrivateKeyChain(chain));
        self.put(&format!("{id}.p12"), &store.writer(PASSWORD).write().expect("good"));
    }

    /// Makes a server trust these.
    pub(crate) fn trust(&self, id: u8, authorities: &[&Authority]) {
        let text: String = authorities.iter().map(|authority| authority.pem()).collect();
        self.put(&format!("{id}-trusted.pem"), text.as_bytes());
    }

    /// The settings that name a server's files, and have host names verified if that can be.
    pub(crate) fn name(&self, id: u8, settings: Settings) -> Settings {
        let settings = if self.have_hosts { settings.config("fips-mode", false) } else { settings };
        settings
            .config("ssl.quorum.keyStore.location", self.path(&format!("{id}.p12")).display())
            .config("ssl.quorum.keyStore.passwordPath", self.path("password").display())
            .config("ssl.quorum.trustStore.location", self.path(&format!("{id}-trusted.pem")).display())
    }

    /// A file that is there is replaced at once, as a whole.
    fn put(&self, name: &str, bytes: &[u8]) {
        let draft = self.path("draft");
        fs::write(&draft, bytes).expect("writable");
        fs::rename(draft, self.path(name)).expect("writable");
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(self.folder.path(), name)
    }
}

const PASSWORD: &str = "open sesame";
