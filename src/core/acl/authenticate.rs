use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{DIGEST, DigestAlgorithm, IP, Policy, SASL, SUPER, X509};
use crate::error::Code;
use crate::proto::Identity;

/// What an auth packet proves: the identities that the connection has from now on, besides those that
/// it had (client-protocol §9).
///
/// # Errors
///
/// [`Code::AuthFailed`] if the scheme is not one of this server's or the credentials are null; the
/// connection is then closed.
pub fn authenticate(
    scheme: Option<&str>,
    auth: Option<&[u8]>,
    policy: &Policy,
) -> Result<Vec<Identity>, Code> {
    match (scheme, auth) {
        (Some(DIGEST), Some(auth)) if policy.digest_enabled => {
            let id = digest_id(&String::from_utf8_lossy(auth), policy.digest_algorithm);
            let is_super = policy.super_digest.as_deref() == Some(&*id);
            let super_user = is_super.then(|| Identity { scheme: SUPER.into(), id: "".into() });
            Ok(super_user.into_iter().chain([Identity { scheme: DIGEST.into(), id: id.into() }]).collect())
        }
        // The connection has its address since it was accepted.
        (Some(IP), _) => Ok(Vec::new()),
        _ => Err(Code::AuthFailed),
    }
}

/// The id that `user:password` becomes under the digest scheme: `user:BASE64(HASH(user:password))`.
pub fn digest_id(user_and_password: &str, algorithm: DigestAlgorithm) -> String {
    let user = user_and_password.split(':').next().unwrap_or_default();
    let hash = STANDARD.encode(algorithm.hash(user_and_password.as_bytes()));
    format!("{user}:{hash}")
}

/// The identity that every connection has by its remote address. IPv6 addresses are written in eight
/// groups without leading zeros, as Java does; an IPv4 address in IPv6 clothes is an IPv4 address.
pub fn ip_identity(address: IpAddr) -> Identity {
    let id = match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|segment| format!("{segment:x}")).join(":"),
    };
    Identity { scheme: IP.into(), id: id.into() }
}

/// The user whom whoAmI names for an identity.
pub fn user_name(identity: &Identity) -> &str {
    match &*identity.scheme {
        DIGEST => identity.id.split(':').next().unwrap_or_default(),
        IP | SASL | X509 => &identity.id,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(scheme: &str, id: &str) -> Identity {
        Identity { scheme: scheme.into(), id: id.into() }
    }

    #[test]
    fn a_digest_identity_hides_the_password() {
        let proven = authenticate(Some("digest"), Some(b"super:test"), &Policy::default());
        assert_eq!(proven, Ok(vec![identity("digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=")]));
        let no_colon = authenticate(Some("digest"), Some(b""), &Policy::default());
        assert_eq!(no_colon, Ok(vec![identity("digest", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk=")]));
    }

    #[test]
    fn the_super_digest_makes_a_super_user() {
        let policy =
            Policy { super_digest: Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".into()), ..Policy::default() };
        let proven = authenticate(Some("digest"), Some(b"super:test"), &policy).expect("a digest");
        assert!(proven.contains(&identity("super", "")) && proven.len() == 2);
        let other = authenticate(Some("digest"), Some(b"super:tset"), &policy).expect("a digest");
        assert_eq!(other.len(), 1);
    }

    #[test]
    fn unknown_schemes_and_null_credentials_fail() {
        let policy = Policy::default();
        for (scheme, auth) in [
            (None, Some(&b"x"[..])),
            (Some("sasl"), Some(b"x")),
            (Some("world"), Some(b"anyone")),
            (Some("super"), Some(b"")),
            (Some("digest"), None),
        ] {
            assert_eq!(authenticate(scheme, auth, &policy), Err(Code::AuthFailed), "{scheme:?}");
        }
        let disabled = Policy { digest_enabled: false, ..policy };
        assert_eq!(authenticate(Some("digest"), Some(b"a:b"), &disabled), Err(Code::AuthFailed));
        assert_eq!(authenticate(Some("ip"), None, &disabled), Ok(vec![]));
    }

    #[test]
    fn addresses_are_written_as_java_does() {
        let text = |address: &str| ip_identity(address.parse().expect("an address")).id;
        assert_eq!(&*text("127.0.0.1"), "127.0.0.1");
        assert_eq!(&*text("::1"), "0:0:0:0:0:0:0:1");
        assert_eq!(&*text("2001:0db8::a"), "2001:db8:0:0:0:0:0:a");
        assert_eq!(&*text("::ffff:10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn who_am_i_names_the_user_without_the_hash() {
        assert_eq!(user_name(&identity("digest", "bob:xyz=")), "bob");
        assert_eq!(user_name(&identity("ip", "127.0.0.1")), "127.0.0.1");
        assert_eq!(user_name(&identity("super", "CN=admin")), "");
    }
}
