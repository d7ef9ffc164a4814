use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::context::Tls;
use super::handshake::Failure;

/// What went wrong between this server and another, whose fault that is, and what to do about it.
pub fn explain(tls: &Tls, failure: &Failure) -> String {
    match failure {
        Failure::Io(error) => of_connection(error),
        Failure::Tls(error) => explain_session(tls.options().prefix, error),
    }
}

fn of_connection(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "it has not completed the handshake of TLS in time".to_owned()
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "it has ended the connection during the handshake of TLS: see what it logs; it may speak no TLS"
                .to_owned()
        }
        _ => format!("the handshake of TLS failed: {error}"),
    }
}

/// What went wrong in a session, likewise; the keys about it begin with this prefix.
pub fn explain_session(prefix: &str, error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => of_alert(prefix, *alert),
        Error::NoCertificatesPresented => format!(
            "it shows no certificate, and {prefix}clientAuth wants one: give it a key and certificate, with \
             {prefix}keyStore.location there"
        ),
        Error::InvalidCertificate(error) => of_certificate(prefix, error),
        Error::InvalidMessage(_) => {
            "what it says is no TLS: have TLS turned on there (sslQuorum), or portUnification \
                                     on both sides until it is"
                .to_owned()
        }
        Error::PeerIncompatible(why) => format!(
            "it has no version of TLS or no cipher suite in common with this server ({why:?}): see {prefix}protocol, \
             {prefix}enabledProtocols and {prefix}ciphersuites on both"
        ),
        error => format!("TLS failed: {error}"),
    }
}

fn of_certificate(prefix: &str, error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired: it needs a new one ({error})")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet: compare the clocks of both machines ({error})")
        }
        CertificateError::UnknownIssuer => format!(
            "its certificate is not trusted: nobody in {prefix}trustStore.location here has signed it. It has the wrong \
             certificate, or this server the wrong trust store"
        ),
        CertificateError::BadSignature => format!(
            "its certificate is not trusted: one in {prefix}trustStore.location here has the name of who has signed it, \
             and another key. It has the wrong certificate, or this server the wrong trust store"
        ),
        CertificateError::Other(why) => format!(
            "{why}: it needs a certificate with its names and addresses, or {prefix}hostnameVerification=false here"
        ),
        error => format!("its certificate is not accepted: {error}"),
    }
}

fn of_alert(prefix: &str, alert: AlertDescription) -> String {
    let about_certificate = matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied
    );
    match about_certificate {
        true => format!(
            "it does not accept this server's certificate ({alert:?}): see what it logs, its trust store, and \
             {prefix}keyStore.location here"
        ),
        false => format!("it refuses to speak TLS with this server ({alert:?}): see what it logs"),
    }
}
