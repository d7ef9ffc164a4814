//! Followers that are restarted again and again under load, with a leader of the other kind.
//!
//! `ENSEMBLE_RESTARTS=100` restarts more often.

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::wire::Client;

use crate::ensemble;
use crate::java_logs::assert_untroubled;
use crate::observe::assert_alike;
use crate::work::Load;

/// Java's releases take in what a leader sends in four different ways; one of each is here (zab §6.2).
#[test]
fn java_followers_of_every_kind_are_restarted_under_load_and_nothing_is_lost() {
    let releases = [Release::V3_4, Release::V3_8, Release::V3_6, Release::V3_9];
    let kinds: Vec<_> = releases.into_iter().map(Java).chain([Ringkeeper]).collect();
    let mut ensemble = ensemble(&kinds, &[]);
    restart_under_load(&mut ensemble, 5, &[1, 2, 3, 4]);
    assert_untroubled(&mut ensemble, &[1, 2, 3, 4], Some(Ringkeeper));
}

#[test]
fn a_ringkeeper_is_restarted_under_load_with_a_java_leader_and_nothing_is_lost() {
    let mut ensemble = ensemble(&[Java(Release::V3_8), Ringkeeper, Java(Release::V3_9)], &[]);
    restart_under_load(&mut ensemble, 3, &[2]);
}

/// Kills and stops followers in turn, each time until it serves again; clients write all the while.
fn restart_under_load(ensemble: &mut Ensemble, leader: u8, followers: &[u8]) {
    let ids = ensemble.ids();
    ensemble.start_led_by(leader);
    let addrs: Vec<_> = [leader].iter().chain(followers).map(|id| ensemble.addr(*id)).collect();
    let loads: Vec<Load> = (0..addrs.len().min(3))
        .map(|first| {
            let mut addrs = addrs.clone();
            addrs.rotate_left(first);
            Load::start(addrs, &format!("/load-{first}"))
        })
        .collect();
    loads.iter().for_each(|load| load.until_more(5));
    for round in 0..restarts() {
        let id = followers[round % followers.len()];
        match round % 2 {
            0 => ensemble.server(id).kill(),
            _ => drop(ensemble.server(id).stop()),
        }
        loads.iter().for_each(|load| load.until_more(5));
        ensemble.start(&[id]);
        loads.iter().for_each(|load| load.until_more(5));
    }
    assert_eq!(ensemble.leader_among(&ids), leader, "nobody else had to lead");
    let written: Vec<_> = loads.into_iter().map(Load::stop).collect();
    for id in &ids {
        let mut client = Client::connect(ensemble.addr(*id)).expect("a session");
        written.iter().for_each(|written| written.assert_shown_by(&mut client));
        client.hang_up();
    }
    written.into_iter().for_each(|written| written.end(ensemble.addr(leader)));
    assert_alike(ensemble, &ids);
}

fn restarts() -> usize {
    let given = std::env::var("ENSEMBLE_RESTARTS").ok();
    given.map_or(RESTARTS_DEFAULT, |text| text.parse().expect("ENSEMBLE_RESTARTS is a number"))
}

const RESTARTS_DEFAULT: usize = 8;
