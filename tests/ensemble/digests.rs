//! The digest of the tree that every transaction carries: Java's servers and ringkeeper compute and compare
//! the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ringkeeper_core::Alone;
use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Sections, Snapshot, SnapshotName, SnapshotWriter};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::{DataTree, Delta, TreeOptions};

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Client, Request, create_mode, four_letter_word};

use crate::ensemble;
use crate::observe::{assert_alike, digest_mismatches};

#[test]
fn a_java_leaders_digests_are_ours() {
    digests_agree(&[Java(Release::V3_9), Ringkeeper, Java(Release::V3_9)]);
}

#[test]
fn our_leaders_digests_are_javas() {
    digests_agree(&[Java(Release::V3_9), Ringkeeper, Ringkeeper]);
}

/// The last leads. What `hash` shows of the states at every 128th zxid is the same on all servers, with all
/// kinds of transactions between them.
fn digests_agree(voters: &[Kind]) {
    let mut ensemble = ensemble(voters, &[]);
    start_led_by_the_last(&mut ensemble);
    for id in ensemble.ids() {
        let mut client = Client::connect(ensemble.addr(id)).expect("a session");
        crate::work::write_every_kind(&mut client, &format!("/every-kind-{id}"));
        write(&mut client, &format!("/many-{id}"), 130);
        assert_eq!(client.close().expect("a reply").err, 0);
    }
    assert_alike(&ensemble, &ensemble.ids());
    let shown = ensemble.ids().into_iter().map(|id| hash(&ensemble, id));
    let first = shown.clone().next().expect("a server");
    assert!(first.len() >= 3, "{first:?}");
    shown.for_each(|other| assert_eq!(other, first));
}

#[test]
fn a_java_server_whose_data_differ_notices_it_by_our_digests() {
    differing_data_are_noticed(&[Java(Release::V3_9), Ringkeeper, Ringkeeper]);
}

#[test]
fn a_ringkeeper_whose_data_differ_notices_it_by_javas_digests() {
    differing_data_are_noticed(&[Ringkeeper, Java(Release::V3_9), Java(Release::V3_9)]);
}

/// The first server comes back with data that were changed behind its back; the last leads.
fn differing_data_are_noticed(voters: &[Kind]) {
    let mut ensemble = ensemble(voters, &[]);
    start_led_by_the_last(&mut ensemble);
    let mut client = Client::connect(ensemble.addr(3)).expect("a session");
    write(&mut client, "/before", 3);
    assert_alike(&ensemble, &[1, 2, 3]);
    ensemble.server(1).stop();
    falsify(&ensemble.server(1).data_dir().join("version-2"));
    ensemble.start(&[1]);
    let at_start = digest_mismatches(&ensemble, 1).expect("a server that compares digests");
    write(&mut client, "/after", 3);
    until("the next transactions' digests are missed", || digest_mismatches(&ensemble, 1) > Some(at_start));
    assert!(ensemble.server(1).log().contains("Digests are not matching"));
    assert_eq!([2, 3].map(|id| digest_mismatches(&ensemble, id)), [Some(0); 2]);
    client.hang_up();
}

/// Gives `/zookeeper` other data in the newest snapshot of the folder, which then says nothing of its digest.
fn falsify(folder: &Path) {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let newest = names.filter_map(|name| SnapshotName::parse(name.to_str()?)).max().expect("a snapshot");
    let path = folder.join(newest.to_string());
    let bytes = fs::read(&path).expect("it can be read");
    let options = TreeOptions::default();
    let snapshot = Snapshot::decode(&bytes, newest.zxid, options, &mut Interner::new(), &Alone);
    let mut tree: DataTree = snapshot.expect("a whole snapshot").tree;
    let node = tree.get("/zookeeper").expect("it is always there").node.with_silent_data(b"falsified");
    tree.apply(newest.zxid, &Delta::SetSilently(node));
    let mut falsified = Vec::new();
    SnapshotWriter::new(tree.freeze(), Sections::default()).fill(&mut falsified, usize::MAX);
    fs::write(path, falsified).expect("it can be written");
}

/// What `hash` shows.
fn hash(ensemble: &Ensemble, id: u8) -> BTreeMap<Zxid, i64> {
    let lines = four_letter_word(ensemble.addr(id), "hash").expect("an answer");
    let of_line = |line: &str| {
        let (zxid, digest) = line.split_once(": ")?;
        Some((Zxid(i64::from_str_radix(zxid, 16).ok()?), digest.parse().ok()?))
    };
    lines.lines().map(|line| of_line(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

fn start_led_by_the_last(ensemble: &mut Ensemble) {
    ensemble.start_led_by(3);
}

fn write(client: &mut Client, root: &str, count: usize) {
    for number in 0..count {
        let request = Request::create(format!("{root}-{number}"), b"data", create_mode::PERSISTENT);
        assert_eq!(client.call(&request).expect("a reply").err, 0);
    }
}
