use std::collections::HashSet;

use super::ip::Network;
use super::{AUTH, DIGEST, IP, Interner, Policy, WORLD};
use crate::error::Code;
use crate::proto::{Acl, AclRef, Identity, RequestAcl, RequestAcls};

/// The list to store for the list that a create or setACL asks for: without duplicates, every `auth`
/// entry replaced by the connection's identities.
///
/// # Errors
///
/// [`Code::InvalidAcl`] if the list is null or empty, or an entry is not one of its scheme;
/// [`Code::MarshallingError`] if an id is null that may not be (client-protocol §5).
pub fn validate(
    list: &RequestAcls<'_>,
    identities: &[Identity],
    policy: &Policy,
    interner: &mut Interner,
) -> Result<AclRef, Code> {
    if let Some(known) = interner.known(list.bytes()) {
        return Ok(known);
    }
    let distinct = distinct(list)?;
    if distinct.is_empty() {
        return Err(Code::InvalidAcl);
    }
    let mut stored = Vec::with_capacity(distinct.len());
    for entry in &distinct {
        push_stored(entry, identities, policy, &mut stored)?;
    }
    let depends_on_connection = distinct.iter().any(|entry| entry.scheme.as_deref() == Some(AUTH));
    let list_bytes = (!depends_on_connection).then(|| list.bytes());
    Ok(interner.learn(AclRef::new(stored), list_bytes))
}

/// The entries without duplicates, in their order.
///
/// Java compares each with those before it, perms first, then scheme, then id, and fails where it has to
/// ask a null one. A list may have as many entries as a frame holds, so here none is compared with all.
fn distinct<'a>(list: &RequestAcls<'a>) -> Result<Vec<RequestAcl<'a>>, Code> {
    let mut distinct: Vec<RequestAcl<'_>> = Vec::new();
    let (mut perms, mut schemes, mut whole) = (HashSet::new(), HashSet::new(), HashSet::new());
    for entry in list.entries() {
        let scheme = (entry.perms, entry.scheme.clone());
        let asks_a_null_scheme = entry.scheme.is_none() && perms.contains(&entry.perms);
        let asks_a_null_id = entry.id.is_none() && schemes.contains(&scheme);
        if asks_a_null_scheme || asks_a_null_id {
            return Err(Code::MarshallingError);
        }
        perms.insert(entry.perms);
        schemes.insert(scheme);
        if whole.insert(entry.clone()) {
            distinct.push(entry);
        }
    }
    Ok(distinct)
}

fn push_stored(
    entry: &RequestAcl<'_>,
    identities: &[Identity],
    policy: &Policy,
    stored: &mut Vec<Acl>,
) -> Result<(), Code> {
    let perms = entry.perms;
    let is_valid: fn(&str) -> bool = match entry.scheme.as_deref().ok_or(Code::InvalidAcl)? {
        AUTH => {
            let before = stored.len();
            let proven = identities.iter().filter(|identity| is_authenticating(identity, policy));
            stored.extend(proven.map(|identity| Acl {
                perms,
                scheme: identity.scheme.clone(),
                id: identity.id.clone(),
            }));
            return if stored.len() > before { Ok(()) } else { Err(Code::InvalidAcl) };
        }
        WORLD => |id| id == "anyone",
        DIGEST if policy.digest_enabled => is_digest,
        IP => |id| Network::parse(id).is_some(),
        _ => return Err(Code::InvalidAcl),
    };
    let id = entry.id.as_deref().ok_or(Code::MarshallingError)?;
    if !is_valid(id) {
        return Err(Code::InvalidAcl);
    }
    let scheme = entry.scheme.as_deref().unwrap_or_default();
    stored.push(Acl { perms, scheme: scheme.into(), id: id.into() });
    Ok(())
}

/// Whether the identity was proven by a secret, so that `auth` stands for it.
fn is_authenticating(identity: &Identity, policy: &Policy) -> bool {
    policy.digest_enabled && &*identity.scheme == DIGEST
}

/// Two parts, as Java's split by ':' counts them: empty parts at the end don't count.
fn is_digest(id: &str) -> bool {
    let counted = id.trim_end_matches(':');
    counted.bytes().filter(|byte| *byte == b':').count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::{Reader, Writer};

    fn encoded(entries: &[(i32, Option<&str>, Option<&str>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        writer.int(entries.len() as i32);
        for (perms, scheme, id) in entries {
            writer.int(*perms);
            writer.buffer(scheme.map(str::as_bytes));
            writer.buffer(id.map(str::as_bytes));
        }
        bytes
    }

    fn validated(bytes: &[u8], identities: &[Identity]) -> Result<Vec<(i32, String)>, Code> {
        let list = RequestAcls::decode(&mut Reader::new(bytes)).expect("a list");
        let mut interner = Interner::new();
        let first = validate(&list, identities, &Policy::default(), &mut interner)?;
        let again = validate(&list, identities, &Policy::default(), &mut interner)?;
        assert_eq!(first, again);
        Ok(first.iter().map(|entry| (entry.perms, format!("{}:{}", entry.scheme, entry.id))).collect())
    }

    #[test]
    fn a_null_that_has_to_be_compared_is_a_marshalling_error() {
        let open = (17, Some("world"), Some("anyone"));
        let refused = |second| validated(&encoded(&[open, second]), &[]).expect_err("a null");
        assert_eq!(refused((17, None, Some("x"))), Code::MarshallingError);
        assert_eq!(refused((16, None, Some("x"))), Code::InvalidAcl);
        assert_eq!(refused((17, Some("world"), None)), Code::MarshallingError);
    }

    #[test]
    fn a_list_as_long_as_a_frame_is_checked_at_once() {
        let entries: Vec<_> = (0..80_000).map(|perms| (perms, Some("world"), Some("anyone"))).collect();
        assert_eq!(validated(&encoded(&entries), &[]).map(|stored| stored.len()), Ok(80_000));
    }

    fn one(scheme: &str, id: &str) -> Result<(), Code> {
        validated(&encoded(&[(1, Some(scheme), Some(id))]), &[]).map(|_| ())
    }

    #[test]
    fn each_scheme_accepts_its_own_ids() {
        for (scheme, id) in [
            ("world", "anyone"),
            ("digest", "a:b"),
            ("digest", ":b"),
            ("digest", "a:b:"),
            ("ip", "10.0.0.0/8"),
            ("ip", "::1"),
        ] {
            assert_eq!(one(scheme, id), Ok(()), "{scheme}:{id}");
        }
        for (scheme, id) in [
            ("world", "everyone"),
            ("digest", "a"),
            ("digest", "a:"),
            ("digest", ":"),
            ("digest", ""),
            ("digest", "a:b:c"),
            ("ip", "1.2.3"),
            ("super", ""),
            ("sasl", "bob"),
            ("x509", "CN=bob"),
            ("ensemble", "x"),
            ("auth", ""),
            ("", ""),
        ] {
            assert_eq!(one(scheme, id), Err(Code::InvalidAcl), "{scheme}:{id}");
        }
    }

    #[test]
    fn null_and_empty_lists_null_schemes_and_null_ids_are_told_apart() {
        assert_eq!(validated(&(-1i32).to_be_bytes(), &[]), Err(Code::InvalidAcl));
        assert_eq!(validated(&encoded(&[]), &[]), Err(Code::InvalidAcl));
        assert_eq!(validated(&encoded(&[(1, None, Some("x"))]), &[]), Err(Code::InvalidAcl));
        assert_eq!(validated(&encoded(&[(1, Some("world"), None)]), &[]), Err(Code::MarshallingError));
        assert_eq!(validated(&encoded(&[(1, Some("digest"), None)]), &[]), Err(Code::MarshallingError));
        assert_eq!(validated(&encoded(&[(1, Some("nobody"), None)]), &[]), Err(Code::InvalidAcl));
    }

    #[test]
    fn auth_becomes_the_connection_s_proven_identities() {
        let identity = |scheme: &str, id: &str| Identity { scheme: scheme.into(), id: id.into() };
        let who = [identity("ip", "127.0.0.1"), identity("super", ""), identity("digest", "bob:h")];
        let list = encoded(&[(3, Some("auth"), None)]);
        assert_eq!(validated(&list, &who), Ok(vec![(3, "digest:bob:h".to_owned())]));
        assert_eq!(validated(&list, &who[..2]), Err(Code::InvalidAcl));
    }

    #[test]
    fn duplicates_go_and_the_order_stays() {
        let entry = (31, Some("world"), Some("anyone"));
        let list = encoded(&[(1, Some("ip"), Some("::1")), entry, (1, Some("ip"), Some("::1")), entry]);
        let expected = vec![(1, "ip:::1".to_owned()), (31, "world:anyone".to_owned())];
        assert_eq!(validated(&list, &[]), Ok(expected));
    }
}
