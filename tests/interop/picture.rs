//! All that a server, or a tree that was read here, shows of its nodes: to be compared line by line.

use std::net::SocketAddr;

use ringkeeper_core::tree::DataTree;
use ringkeeper_kit::wire::{Body, Client, Request, Text};

/// What a server shows of every node, in order: path, data, ACL and stat. `client` must be allowed to see
/// it all.
pub(crate) fn picture_of(client: &mut Client) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending = vec![String::from("/")];
    while let Some(path) = pending.pop() {
        let mut ask = |request| client.call(&request).expect("a reply").body;
        let Body::Data(data, stat) = ask(Request::get_data(&path, false)) else {
            panic!("{path} has no data")
        };
        let Body::Acl(acl, _) = ask(Request::GetAcl { path: Text::from(&path) }) else {
            panic!("{path} has no ACL")
        };
        let Body::Children(children) = ask(Request::GetChildren { path: Text::from(&path), watch: false })
        else {
            panic!("{path} has no children")
        };
        let acl = acl.iter().map(|entry| (entry.perms, entry.scheme.lossy(), entry.id.lossy()));
        let numbers = [
            stat.czxid,
            stat.mzxid,
            stat.ctime,
            stat.mtime,
            stat.version.into(),
            stat.cversion.into(),
            stat.aversion.into(),
            stat.ephemeral_owner,
            stat.data_length.into(),
            stat.num_children.into(),
            stat.pzxid,
        ];
        lines.push(line(&path, data.as_deref(), acl, numbers));
        let above = if path == "/" { "" } else { &path };
        pending.extend(children.iter().map(|name| format!("{above}/{}", name.lossy())));
    }
    lines.sort();
    lines
}

/// The same of a tree that was read here, and its sessions.
pub(crate) fn picture(tree: &DataTree) -> Vec<String> {
    let mut lines: Vec<String> = tree
        .walk()
        .map(|found| {
            let acl = found.node.acl().iter();
            let acl = acl.map(|entry| (entry.perms, entry.scheme.to_string(), entry.id.to_string()));
            let stat = found.stat();
            let numbers = [
                stat.czxid.0,
                stat.mzxid.0,
                stat.ctime,
                stat.mtime,
                stat.version.into(),
                stat.cversion.into(),
                stat.aversion.into(),
                stat.ephemeral_owner,
                stat.data_length.into(),
                stat.num_children.into(),
                stat.pzxid.0,
            ];
            line(found.node.path(), found.node.data(), acl, numbers)
        })
        .collect();
    lines.sort();
    lines.extend(tree.sessions().iter().map(|(id, timeout_ms)| format!("session {id} {timeout_ms}")));
    lines
}

/// Asserts that two pictures are the same, and shows no more than where they differ.
#[track_caller]
pub(crate) fn assert_same(found: &[String], expected: &[String], when: &str) {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    let (unexpected, missing) = (only(found, expected), only(expected, found));
    assert!(found == expected, "{when}: found {unexpected:#?} instead of {missing:#?}");
}

/// A client that the servers of [`SUPER_DIGEST`] allow everything.
pub(crate) fn super_user(addr: SocketAddr) -> Client {
    let mut client = Client::connect(addr).expect("a session");
    let request = Request::Auth { scheme: "digest".into(), auth: "super:secret".into() };
    assert_eq!(client.call(&request).expect("a reply").err, 0);
    client
}

fn line(
    path: &str,
    data: Option<&[u8]>,
    acl: impl Iterator<Item = (i32, String, String)>,
    stat: [i64; 11],
) -> String {
    let data = match data {
        None => "null".into(),
        Some(data) if data.len() > DATA_SHOWN_MAX => format!("{:#x}", crc32c::crc32c(data)),
        Some(data) => format!("\"{}\"", data.escape_ascii()),
    };
    let acl: Vec<String> = acl.map(|(perms, scheme, id)| format!("{perms} {scheme}:{id}")).collect();
    let stat: Vec<String> = stat.iter().map(i64::to_string).collect();
    format!("{path} {data} [{}] {}", acl.join(", "), stat.join(" "))
}

/// The property that makes whoever knows `super:secret` the superuser.
pub(crate) const SUPER_DIGEST: (&str, &str) =
    ("zookeeper.DigestAuthenticationProvider.superDigest", "super:lK75jTNcA+U9vtVEw5vB51mj/w4=");

/// Of longer data, a checksum is shown.
const DATA_SHOWN_MAX: usize = 200;
