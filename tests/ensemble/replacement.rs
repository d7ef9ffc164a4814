//! A rolling replacement of Java servers by ringkeepers on the same folders, and the way back, under load.

use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::wire::Client;

use crate::ensemble;
use crate::java_logs::assert_untroubled;
use crate::observe::assert_alike;
use crate::work::Load;

#[test]
fn three_java_servers_are_replaced_one_by_one_and_put_back_under_load() {
    replace_and_put_back(Release::V3_9);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn three_java_servers_of_3_8_are_replaced_one_by_one_and_put_back_under_load() {
    replace_and_put_back(Release::V3_8);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn three_java_servers_of_3_4_are_replaced_one_by_one_and_put_back_under_load() {
    replace_and_put_back(Release::V3_4);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn three_java_servers_of_3_5_3_6_and_3_7_are_replaced_one_by_one_and_put_back_under_load() {
    [Release::V3_5, Release::V3_6, Release::V3_7].into_iter().for_each(replace_and_put_back);
}

#[test]
#[ignore = "takes long: tests/setup --all, then cargo test --test ensemble -- --ignored"]
fn three_java_servers_of_3_8_6_and_3_9_2_are_replaced_one_by_one_and_put_back_under_load() {
    [Release::V3_8_6, Release::V3_9_2].into_iter().for_each(replace_and_put_back);
}

fn replace_and_put_back(release: Release) {
    let java = Java(release);
    let mut ensemble = ensemble(&[java; 3], &[]);
    let ids = ensemble.ids();
    ensemble.start(&ids);
    let addrs: Vec<_> = ids.iter().map(|id| ensemble.addr(*id)).collect();
    let loads: Vec<Load> = (0..3)
        .map(|first| {
            let mut addrs = addrs.clone();
            addrs.rotate_left(first);
            Load::start(addrs, &format!("/load-{first}"))
        })
        .collect();
    let goes_on = |loads: &[Load]| loads.iter().for_each(|load| load.until_more(20));
    goes_on(&loads);
    for kind in [Ringkeeper, java] {
        for id in &ids {
            ensemble.server(*id).stop();
            goes_on(&loads);
            ensemble.replace(*id, kind);
            ensemble.start(&[*id]);
            goes_on(&loads);
        }
    }
    let written: Vec<_> = loads.into_iter().map(Load::stop).collect();
    for id in &ids {
        let mut client = Client::connect(ensemble.addr(*id)).expect("a session");
        written.iter().for_each(|written| written.assert_shown_by(&mut client));
        client.hang_up();
    }
    // Each lost its server at least once: that was the test.
    assert!(written.iter().all(|written| written.losses > 0 && written.count() > 0));
    for (written, id) in written.into_iter().zip(&ids) {
        written.end(ensemble.addr(*id));
    }
    assert_alike(&ensemble, &ids);
    assert_untroubled(&mut ensemble, &ids, None);
}
