//! What the servers of an ensemble show to clients, compared.

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::wire::{Body, Client, Request, Text, four_letter_word};

/// Asserts that all these servers show the same, and tells what. Nor has any a digest of its tree that is not
/// the leader's.
#[track_caller]
pub(crate) fn assert_alike(ensemble: &Ensemble, ids: &[u8]) -> Vec<String> {
    let mut shown = ids.iter().map(|id| {
        let mut client = Client::connect(ensemble.addr(*id)).expect("a session");
        let picture = picture(&mut client);
        client.hang_up();
        picture
    });
    let first = shown.next().expect("a server");
    for (id, other) in ids[1..].iter().zip(shown) {
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|line| !those.contains(line)).cloned().collect()
        };
        assert!(
            first == other,
            "server {} ({:?}) shows {:#?}, server {id} ({:?}) shows {:#?}",
            ids[0],
            ensemble.kind(ids[0]),
            only(&first, &other),
            ensemble.kind(*id),
            only(&other, &first),
        );
    }
    for id in ids {
        assert!(digest_mismatches(ensemble, *id).is_none_or(|count| count == 0), "server {id}");
    }
    first
}

/// How often a server's tree had another digest than its leader, its log or a snapshot says; none of Java's
/// older servers, which know no digests.
pub(crate) fn digest_mismatches(ensemble: &Ensemble, id: u8) -> Option<u64> {
    let figures = four_letter_word(ensemble.addr(id), "mntr").expect("an answer");
    let count = figures.lines().find_map(|line| line.strip_prefix("zk_digest_mismatches_count\t"));
    count.map(|count| count.parse().expect("a number"))
}

/// After a sync, what a server says of every znode: data, ACL, Stat and children. What is below `/zookeeper`
/// is each server's own affair.
pub(crate) fn picture(client: &mut Client) -> Vec<String> {
    assert_eq!(client.call(&Request::sync("/")).expect("a reply").err, 0);
    let mut lines = Vec::new();
    let mut pending = vec![String::from("/")];
    while let Some(path) = pending.pop() {
        let mut ask = |request: &Request| client.call(request).expect("a reply").body;
        let data = ask(&Request::get_data(&path, false));
        let acl = ask(&Request::GetAcl { path: Text::from(&path) });
        let Body::Children(children) = ask(&Request::GetChildren { path: Text::from(&path), watch: false })
        else {
            panic!("{path} has no children")
        };
        if path != "/" {
            lines.push(format!("{path} {data:?} {acl:?}"));
        }
        let above = if path == "/" { "" } else { &path };
        pending.extend(
            children
                .iter()
                .map(|name| format!("{above}/{}", name.lossy()))
                .filter(|path| path != "/zookeeper"),
        );
    }
    lines.sort();
    lines
}
