use super::ip::Network;
use super::{DIGEST, IP, Policy, SUPER, WORLD};
use crate::jute::Writer;
use crate::proto::{Acl, Identity};

/// Whether a connection with these identities has one of the permissions `perm` by the list `acl`.
pub fn permits(acl: &[Acl], perm: i32, identities: &[Identity], policy: &Policy) -> bool {
    acl.is_empty()
        || acl.iter().any(|entry| entry.perms & perm != 0 && is_everybody(entry))
        || policy.skip_acl
        || identities.iter().any(|identity| &*identity.scheme == SUPER)
        || acl.iter().any(|entry| {
            entry.perms & perm != 0 && identities.iter().any(|identity| is_meant(entry, identity, policy))
        })
}

/// Appends the list with the passwords' hashes left out, as getACL shows it to a connection that lacks
/// the permission to change it.
pub fn encode_redacted(acl: &[Acl], out: &mut Writer<'_>) {
    out.int(acl.len() as i32);
    for entry in acl {
        match entry.id.split_once(':') {
            Some((user, _)) if &*entry.scheme == DIGEST => {
                out.int(entry.perms);
                out.text(DIGEST);
                out.text(&format!("{user}:x"));
            }
            _ => entry.encode(out),
        }
    }
}

fn is_everybody(entry: &Acl) -> bool {
    &*entry.scheme == WORLD && &*entry.id == "anyone"
}

fn is_meant(entry: &Acl, identity: &Identity, policy: &Policy) -> bool {
    entry.scheme == identity.scheme
        && match &*entry.scheme {
            IP => Network::parse(&entry.id).is_some_and(|network| network.contains(&identity.id)),
            DIGEST => policy.digest_enabled && entry.id == identity.id,
            _ => entry.id == identity.id,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::perms::{ADMIN, ALL, READ, WRITE};

    fn entry(perms: i32, scheme: &str, id: &str) -> Acl {
        Acl { perms, scheme: scheme.into(), id: id.into() }
    }

    fn may(acl: &[Acl], perm: i32, who: &[(&str, &str)]) -> bool {
        let identities: Vec<_> =
            who.iter().map(|(scheme, id)| Identity { scheme: (*scheme).into(), id: (*id).into() }).collect();
        permits(acl, perm, &identities, &Policy::default())
    }

    #[test]
    fn an_entry_permits_whom_it_means_and_what_it_lists() {
        let acl =
            [entry(READ, "world", "anyone"), entry(ALL, "digest", "bob:h"), entry(WRITE, "ip", "10.0.0.0/8")];
        assert!(may(&acl, READ, &[]));
        assert!(!may(&acl, WRITE, &[("ip", "127.0.0.1")]));
        assert!(may(&acl, WRITE, &[("ip", "10.2.3.4")]));
        assert!(may(&acl, WRITE, &[("ip", "127.0.0.1"), ("digest", "bob:h")]));
        assert!(!may(&acl, ADMIN, &[("digest", "eve:h")]));
        assert!(may(&acl, READ | ADMIN, &[("digest", "eve:h")]), "one of a mask is enough");
    }

    #[test]
    fn super_users_empty_lists_and_skip_acl_pass() {
        let acl = [entry(0, "world", "anyone")];
        assert!(!may(&acl, READ, &[]));
        assert!(may(&acl, READ, &[("super", "")]));
        assert!(may(&[], ADMIN, &[]));
        assert!(permits(&acl, ADMIN, &[], &Policy { skip_acl: true, ..Policy::default() }));
    }

    #[test]
    fn only_digest_ids_are_redacted() {
        let acl = [entry(ALL, "digest", "bob:h:i"), entry(READ, "ip", "::1")];
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        encode_redacted(&acl, &mut Writer::new(&mut out));
        let mut writer = Writer::new(&mut expected);
        writer.int(2);
        entry(ALL, "digest", "bob:x").encode(&mut writer);
        entry(READ, "ip", "::1").encode(&mut writer);
        assert_eq!(out, expected);
    }
}
