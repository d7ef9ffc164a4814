//! What clients of an ensemble see of sessions, watches and reads (ensemble-scenarios, I): each with a ringkeeper that leads
//! and with a Java server that does, and followers of both kinds. I11 is in `local_sessions`.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Body, Client, ConnectRequest, Event, Request, Wire, create_mode};
use rustix::process::Signal;

use crate::ensemble;
use crate::observe::assert_alike;
use crate::work::rejoin;

/// Servers 1 to 3, of which the last leads.
fn with_both(scenario: impl Fn(&mut Ensemble)) {
    let java = Java(Release::V3_9);
    for kinds in [[java, Ringkeeper, Ringkeeper], [java, Ringkeeper, java]] {
        let mut ensemble = ensemble(&kinds, &[]);
        ensemble.start_led_by(3);
        scenario(&mut ensemble);
    }
}

#[test]
fn i1_a_session_survives_its_leader_with_its_znodes() {
    with_both(|ensemble| {
        let mut sessions = Vec::new();
        for id in [1, 2, 3] {
            let mut client = connect(ensemble, id);
            create(&mut client, &format!("/of-{id}"), create_mode::EPHEMERAL);
            sessions.push((id, client));
        }
        ensemble.server(3).kill();
        for (id, client) in sessions {
            let mut client = rejoin(&client.hang_up(), ensemble.addr(1 + id % 2));
            let owner = owner_of(&mut client, &format!("/of-{id}"));
            assert_eq!(owner, Some(client.granted().session));
        }
    });
}

#[test]
fn i2_a_session_whose_client_is_gone_expires_and_each_watch_of_its_znodes_fires_once() {
    with_both(|ensemble| {
        let mut watchers: Vec<Client> = [1, 2, 3].map(|id| connect(ensemble, id)).into();
        let paths = [1, 2, 3].map(|through| format!("/dies-{through}"));
        let mut mortals = [1, 2, 3].map(|through| short_session(ensemble.addr(through)));
        for (mortal, path) in mortals.iter_mut().zip(&paths) {
            create(mortal, path, create_mode::EPHEMERAL);
        }
        for watcher in &mut watchers {
            sync(watcher);
            paths.iter().for_each(|path| assert_eq!(err(watcher, &Request::exists(path, true)), 0));
        }
        for mortal in mortals {
            mortal.hang_up();
        }
        for watcher in &mut watchers {
            let mut fired = paths.clone().map(|_| what(next_event(watcher)));
            fired.sort();
            assert_eq!(fired, paths.clone().map(|path| (path, NODE_DELETED)));
            paths.iter().for_each(|path| assert_eq!(err(watcher, &Request::exists(path, false)), NO_NODE));
            assert_eq!(watcher.take_events(), []);
        }
        assert_alike(ensemble, &[1, 2, 3]);
    });
}

#[test]
fn i3_a_session_whose_client_and_leader_die_expires_with_the_next_leader() {
    with_both(|ensemble| {
        let mut mortal = short_session(ensemble.addr(1));
        create(&mut mortal, "/dies", create_mode::EPHEMERAL);
        mortal.hang_up();
        ensemble.server(3).kill();
        assert_eq!(ensemble.leader_among(&[1, 2]), 2);
        for id in [1, 2] {
            let mut client = connect(ensemble, id);
            until("the znode is gone", || err(&mut client, &Request::exists("/dies", false)) == NO_NODE);
        }
    });
}

#[test]
fn i4_when_a_client_hears_that_its_session_is_closed_its_znodes_are_gone_there() {
    with_both(|ensemble| {
        for id in [1, 2, 3] {
            let path = format!("/closes-{id}");
            let mut other = connect(ensemble, id);
            let mut client = connect(ensemble, id);
            create(&mut client, &path, create_mode::EPHEMERAL);
            assert_eq!(err(&mut client, &Request::CloseSession), 0);
            assert_eq!(err(&mut other, &Request::exists(&path, false)), NO_NODE);
            client.await_close(PATIENCE).expect("then the connection ends");
        }
        assert_alike(ensemble, &[1, 2, 3]);
    });
}

#[test]
fn i5_a_session_that_has_moved_is_no_longer_where_it_was() {
    with_both(|ensemble| {
        for (from, to) in [(1, 2), (2, 3), (3, 1), (1, 3)] {
            let path = format!("/moved-{from}-{to}");
            let mut old = connect(ensemble, from);
            // No request of a session has the number of another: servers tell them apart by it.
            for _ in 0..10 {
                assert_eq!(err(&mut old, &Request::exists("/", false)), 0);
            }
            let request = ConnectRequest::again(old.granted());
            let mut new = Client::connect_as(ensemble.addr(to), &request).expect("it moves");
            create(&mut new, &path, create_mode::EPHEMERAL);
            match old.call(&Request::set_data(&path, b"from the old place", -1)) {
                Ok(reply) => assert_eq!(reply.err, SESSION_MOVED),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof),
            }
            match new.call(&Request::get_data(&path, false)).expect("a reply").body {
                Body::Data(data, stat) => {
                    assert_eq!((data, stat.version), (Some(b"data".to_vec()), 0));
                }
                other => panic!("{path}: {other:?}"),
            }
            new.close().expect("a reply");
        }
    });
}

#[test]
fn i6_a_session_that_has_expired_is_answered_with_neither_time_nor_id() {
    with_both(|ensemble| {
        let mut mortal = short_session(ensemble.addr(1));
        create(&mut mortal, "/dies", create_mode::EPHEMERAL);
        let session = mortal.hang_up();
        let mut other = connect(ensemble, 3);
        until("it has expired", || err(&mut other, &Request::exists("/dies", false)) == NO_NODE);
        for id in [1, 2, 3] {
            let mut wire = Wire::dial(ensemble.addr(id)).expect("a connection");
            let answer = wire.handshake(&ConnectRequest::again(&session), PATIENCE).expect("an answer");
            let answer = answer.expect("and no closed connection");
            assert_eq!((answer.timeout_ms, answer.session), (0, 0), "server {id}");
        }
    });
}

/// A client that was away sets its watches again, at another server, and says up to where it knows everything.
#[test]
fn i7_watches_that_are_set_again_elsewhere_fire_for_what_was_missed_and_wait_for_the_rest() {
    with_both(|ensemble| {
        let mut writer = connect(ensemble, 3);
        for to in [2, 3] {
            create(&mut writer, &format!("/{to}"), create_mode::PERSISTENT);
            for name in ["data", "quiet", "parent", "gone", "lasting", "tree"] {
                create(&mut writer, &format!("/{to}/{name}"), create_mode::PERSISTENT);
            }
        }
        let mut client = connect(ensemble, 1);
        sync(&mut client);
        let seen = client.call(&Request::exists("/", false)).expect("a reply").zxid;
        let session = client.hang_up();
        ensemble.server(1).kill();
        for to in [2, 3] {
            assert_eq!(err(&mut writer, &Request::set_data(format!("/{to}/data"), b"new", -1)), 0);
            create(&mut writer, &format!("/{to}/appears"), create_mode::PERSISTENT);
            create(&mut writer, &format!("/{to}/parent/child"), create_mode::PERSISTENT);
            assert_eq!(err(&mut writer, &Request::delete(format!("/{to}/gone"), -1)), 0);
        }
        for to in [2, 3] {
            let request = ConnectRequest { last_zxid_seen: seen, ..ConnectRequest::again(&session) };
            let client = Client::connect_as(ensemble.addr(to), &request).expect("the session lives");
            set_watches_again(client, &mut writer, seen, &format!("/{to}"));
        }
    });
}

fn set_watches_again(mut client: Client, writer: &mut Client, seen: i64, root: &str) {
    let path = |name: &str| format!("{root}/{name}");
    let texts = |names: &[&str]| Some(names.iter().map(|name| path(name).into()).collect());
    let named =
        |events: &[(&str, i32)]| events.iter().map(|(name, kind)| (path(name), *kind)).collect::<Vec<_>>();
    sync(&mut client);
    let again = Request::SetWatches2 {
        relative_zxid: seen,
        data: texts(&["data", "quiet", "gone"]),
        exist: texts(&["appears", "absent"]),
        child: texts(&["parent"]),
        persistent: texts(&["lasting"]),
        recursive: texts(&["tree"]),
    };
    assert_eq!(err(&mut client, &again), 0);
    let mut fired: Vec<_> = (0..4).map(|_| what(next_event(&mut client))).collect();
    fired.sort();
    let missed = [
        ("appears", NODE_CREATED),
        ("data", NODE_DATA_CHANGED),
        ("gone", NODE_DELETED),
        ("parent", NODE_CHILDREN_CHANGED),
    ];
    assert_eq!(fired, named(&missed));

    // The others wait for what is still to come.
    assert_eq!(err(writer, &Request::set_data(path("quiet"), b"new", -1)), 0);
    create(writer, &path("absent"), create_mode::PERSISTENT);
    assert_eq!(err(writer, &Request::set_data(path("lasting"), b"new", -1)), 0);
    create(writer, &path("tree/leaf"), create_mode::PERSISTENT);
    assert_eq!(err(writer, &Request::delete(path("absent"), -1)), 0);
    sync(&mut client);
    let fired: Vec<_> = client.take_events().into_iter().map(what).collect();
    let later = [
        ("quiet", NODE_DATA_CHANGED),
        ("absent", NODE_CREATED),
        ("lasting", NODE_DATA_CHANGED),
        ("tree/leaf", NODE_CREATED),
    ];
    assert_eq!(fired, named(&later));
    client.hang_up();
}

#[test]
fn i8_a_client_that_knows_more_than_a_server_is_sent_away() {
    with_both(|ensemble| {
        let mut client = connect(ensemble, 3);
        create(&mut client, "/last", create_mode::PERSISTENT);
        let last = client.call(&Request::exists("/last", false)).expect("a reply").zxid;
        for id in [1, 2, 3] {
            until_shown(ensemble, id, "/last");
            let mut known = Wire::dial(ensemble.addr(id)).expect("a connection");
            let request = ConnectRequest { last_zxid_seen: last, ..ConnectRequest::default() };
            assert!(known.handshake(&request, PATIENCE).expect("an answer").is_some());
            let mut unknown = Wire::dial(ensemble.addr(id)).expect("a connection");
            let request = ConnectRequest { last_zxid_seen: last + 1000, ..ConnectRequest::default() };
            assert_eq!(unknown.handshake(&request, PATIENCE).expect("no silence"), None, "server {id}");
        }
    });
}

#[test]
fn i9_a_read_behind_a_sync_shows_what_was_written_before_and_no_read_shows_less_than_one_before_it() {
    with_both(|ensemble| {
        let mut writer = connect(ensemble, 1);
        create(&mut writer, "/n", create_mode::PERSISTENT);
        let mut readers: Vec<Client> = [1, 2, 3].map(|id| connect(ensemble, id)).into();
        let version =
            |client: &mut Client| match client.call(&Request::exists("/n", false)).expect("a reply").body {
                Body::Stat(stat) => Some(stat.version),
                _ => None,
            };
        for written in 1..=200 {
            assert_eq!(err(&mut writer, &Request::set_data("/n", b"", -1)), 0);
            for reader in &mut readers {
                let before = version(reader);
                assert!(before <= Some(written));
                sync(reader);
                assert!(version(reader) >= before.max(Some(written)));
            }
        }
    });
}

#[test]
fn i10_a_client_that_does_not_wait_for_replies_gets_them_in_order_and_reads_its_own_writes() {
    with_both(|ensemble| {
        for id in [1, 2, 3] {
            let mut client = connect(ensemble, id);
            let path = |number| format!("/own-{id}-{number}");
            let data = |number: u32| number.to_be_bytes();
            let requests: Vec<Request> = (0..50)
                .flat_map(|number| {
                    let path = path(number);
                    [
                        Request::create(&path, b"", create_mode::PERSISTENT),
                        Request::get_data(&path, false),
                        Request::set_data(&path, &data(number), 0),
                        Request::get_data(&path, false),
                        Request::delete(&path, 0),
                    ]
                })
                .collect();
            client.send_all(&requests).expect("the server reads");
            for number in 0..50 {
                let replies: Vec<_> = (0..5).map(|_| client.next_reply().expect("in order")).collect();
                let errs: Vec<i32> = replies.iter().map(|reply| reply.err).collect();
                assert_eq!(errs, [0, 0, 0, 0, BAD_VERSION]);
                let read = |reply: &Body| match reply {
                    Body::Data(data, stat) => (data.clone().unwrap_or_default(), stat.version),
                    other => panic!("{other:?}"),
                };
                assert_eq!(read(&replies[1].body), (Vec::new(), 0));
                assert_eq!(read(&replies[3].body), (data(number).to_vec(), 1));
            }
        }
    });
}

#[test]
fn i12_no_session_gets_the_id_of_one_that_lives_or_lived() {
    with_both(|ensemble| {
        let mut ids = Vec::new();
        for round in 0..2 {
            for id in [1, 2, 3] {
                ids.extend((0..20).map(|_| connect(ensemble, id).hang_up().session));
            }
            if round == 0 {
                for id in [1, 2, 3] {
                    ensemble.server(id).stop();
                    ensemble.start(&[id]);
                }
                // The last one led, and finds a leader again as soon as one other does.
                ensemble.leader_among(&[1, 2, 3]);
            }
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    });
}

#[test]
fn i13_sessions_are_there_again_with_all_their_time_when_all_servers_were_down_for_longer() {
    with_both(|ensemble| {
        let mut kept = session_of(ensemble.addr(1), LONGER);
        create(&mut kept, "/kept", create_mode::EPHEMERAL);
        let mut lost = short_session(ensemble.addr(2));
        create(&mut lost, "/lost", create_mode::EPHEMERAL);
        for id in [1, 2, 3] {
            ensemble.server(id).stop();
        }
        let (kept, lost) = (kept.hang_up(), lost.hang_up());
        thread::sleep(LONGER);
        for id in [1, 2, 3] {
            ensemble.server(id).launch();
        }
        // It comes as soon as anybody lets it in, and stays.
        let mut kept = rejoin(&kept, ensemble.addr(2));
        let mut other = connect(ensemble, 2);
        until("the other session has expired", || {
            assert_eq!(owner_of(&mut kept, "/kept"), Some(kept.granted().session));
            err(&mut other, &Request::exists("/lost", false)) == NO_NODE
        });
        let refused = Client::connect_as(ensemble.addr(2), &ConnectRequest::again(&lost));
        assert!(refused.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied));
    });
}

/// A follower that was halted shows old data until it goes on, and then first what a sync has asked for.
#[test]
fn i9_a_follower_that_lagged_answers_a_sync_when_it_has_caught_up() {
    with_both(|ensemble| {
        let mut writer = connect(ensemble, 3);
        create(&mut writer, "/n", create_mode::PERSISTENT);
        for id in [1, 2] {
            until_shown(ensemble, id, "/n");
            let mut reader = connect(ensemble, id);
            ensemble.server(id).freeze();
            assert_eq!(err(&mut writer, &Request::set_data("/n", &[id], -1)), 0);
            reader
                .send_all(&[Request::sync("/n"), Request::get_data("/n", false)])
                .expect("the kernel takes it");
            ensemble.server(id).signal(Signal::CONT);
            assert_eq!(reader.next_reply().expect("a reply").err, 0);
            match reader.next_reply().expect("a reply").body {
                Body::Data(data, _) => assert_eq!(data, Some(vec![id])),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[track_caller]
fn connect(ensemble: &Ensemble, id: u8) -> Client {
    Client::connect(ensemble.addr(id)).expect("a session")
}

fn short_session(server: SocketAddr) -> Client {
    session_of(server, SHORT)
}

fn session_of(server: SocketAddr, timeout: Duration) -> Client {
    let request = ConnectRequest { timeout_ms: timeout.as_millis() as i32, ..ConnectRequest::default() };
    Client::connect_as(server, &request).expect("a session")
}

#[track_caller]
fn create(client: &mut Client, path: &str, mode: i32) {
    assert_eq!(err(client, &Request::create(path, b"data", mode)), 0, "{path}");
}

#[track_caller]
fn sync(client: &mut Client) {
    assert_eq!(err(client, &Request::sync("/")), 0);
}

#[track_caller]
fn err(client: &mut Client, request: &Request) -> i32 {
    client.call(request).expect("a reply").err
}

fn owner_of(client: &mut Client, path: &str) -> Option<i64> {
    match client.call(&Request::exists(path, false)).expect("a reply").body {
        Body::Stat(stat) => Some(stat.ephemeral_owner),
        _ => None,
    }
}

fn until_shown(ensemble: &Ensemble, id: u8, path: &str) {
    let mut client = connect(ensemble, id);
    sync(&mut client);
    assert_eq!(err(&mut client, &Request::exists(path, false)), 0);
}

#[track_caller]
fn next_event(client: &mut Client) -> Event {
    client.next_event(PATIENCE).expect("a connection").expect("an event in time")
}

fn what(event: Event) -> (String, i32) {
    (event.path.lossy(), event.kind)
}

/// A session that does not last long, and longer than a busy machine takes over what is done in it.
const SHORT: Duration = Duration::from_secs(4);
/// One that lasts until its client comes to servers that have just been started.
const LONGER: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(20);

const NODE_CREATED: i32 = 1;
const NODE_DELETED: i32 = 2;
const NODE_DATA_CHANGED: i32 = 3;
const NODE_CHILDREN_CHANGED: i32 = 4;

const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const SESSION_MOVED: i32 = -118;
