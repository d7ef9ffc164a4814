use super::*;
use crate::config::ReconfigRules;
use crate::id::ServerId;
use crate::testing::{configurations, membership};

/// A leader of three, which the servers 1 to 5 follow.
fn leading(standalone_enabled: bool) -> Bench {
    let mut bench = Bench::new();
    bench.settings.reconfig_enabled = true;
    bench.settings.policy.skip_acl = true;
    bench.reconfig = Some(ReconfigContext {
        configurations: configurations(&[1, 2, 3], &[4], 7),
        rules: ReconfigRules { standalone_enabled, several_addresses: false },
        synced: (1..=5).map(ServerId).collect(),
    });
    bench
}

fn request(joining: Option<&str>, leaving: Option<&str>, members: Option<&str>, version: i64) -> Vec<u8> {
    let mut record = Vec::new();
    let mut writer = crate::jute::Writer::new(&mut record);
    for text in [joining, leaving, members] {
        writer.buffer(text.map(str::as_bytes));
    }
    writer.long(version);
    record
}

impl Bench {
    fn reconfig(&mut self, joining: &str, leaving: &str, members: &str) -> Code {
        let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
        self.code(OpCode::Reconfig, request(some(joining), some(leaving), some(members), -1))
    }

    fn shown(&self) -> String {
        let node = self.db.tree().get(CONFIG_NODE).expect("built in").node;
        String::from_utf8(node.data().unwrap_or_default().to_vec()).expect("text")
    }
}

#[test]
fn servers_join_leave_and_are_replaced_and_the_zxid_is_the_version() {
    let mut bench = leading(true);
    let (logged, _, outcome) =
        bench.ask(OpCode::Reconfig, &request(Some("server.5=h5:2888:3888;2181"), Some("2,9"), None, 7));
    let zxid = bench.last;
    assert_eq!(bench.shown(), membership(&[1, 3, 5], &[4], zxid.0).text());
    let Outcome::Reconfigured(slot) = outcome else { panic!("{outcome:?}") };
    let found = bench.db.tree().at(slot).expect("the node of the configuration");
    assert_eq!(found.node.data(), Some(bench.shown().as_bytes()));
    let stat = found.stat();
    assert_eq!((stat.version, stat.mzxid), (-1, zxid));
    let logged = logged.expect("a transaction");
    let (_, txn) = TxnHeader::decode(&mut Reader::new(&logged)).expect("readable");
    assert!(matches!(txn, Txn::Reconfig { version: -1, .. }));

    let mut bench = leading(true);
    let members = "server.1=h1:2888:3888:participant;2181,server.2=h2:2888:3888:participant;2181";
    assert_eq!(bench.reconfig("", "", members), Code::Ok);
    assert_eq!(bench.shown(), membership(&[1, 2], &[], bench.last.0).text());
}

#[test]
fn each_check_has_its_code_and_its_place() {
    let ok = "server.5=h5:2888:3888;2181";
    for (joining, leaving, members, code) in [
        ("", "x", "", Code::MarshallingError),
        ("server.x=h5:1:2;3", "", "", Code::MarshallingError),
        ("server.5=h5:1:2:participant", "", "", Code::BadArguments),
        ("server.5", "", "", Code::BadArguments),
        ("server.5=h5:1:1;3", "", "", Code::BadArguments),
        ("server.5=h5:1:70000;3", "", "", Code::MarshallingError),
        ("server.5=h1:2888:1;3", "", "", Code::BadArguments),
        ("server.5=127.0.0.1:2888:1;3,server.4=127.0.0.1:2888:1;3", "", "", Code::Ok),
        ("", "1,2", "", Code::BadArguments),
        ("", "", "what=else", Code::BadArguments),
        ("", "", "server.1=h1:1:2:observer;3", Code::MarshallingError),
        ("", "", "server.1=h1:1:2;3,server.2=h2:1:2:observer;3", Code::MarshallingError),
        ("", "", "server.1=h1:1:2;3", Code::BadArguments),
        ("", "", "server.1=h1:1:2;3,server.1=h1:1:2;3,group.1=2", Code::BadArguments),
        ("", "", "server.7=h7:1:2;3,server.8=h8:1:2;3", Code::NewConfigNoQuorum),
        (ok, "", "", Code::Ok),
    ] {
        let mut bench = leading(true);
        assert_eq!(bench.reconfig(joining, leaving, members), code, "{joining} {leaving} {members}");
    }
    assert_eq!(leading(false).reconfig("", "1,2", ""), Code::Ok, "one may be enough");
    assert_eq!(leading(false).reconfig("", "1,2,3", ""), Code::BadArguments);

    let ask =
        |bench: &mut Bench, version| bench.code(OpCode::Reconfig, request(Some(ok), None, None, version));
    let mut bench = leading(true);
    bench.settings.policy.skip_acl = false;
    assert_eq!(ask(&mut bench, -1), Code::NoAuth);
    if let Some(context) = &mut bench.reconfig {
        context.synced.clear();
    }
    assert_eq!(ask(&mut bench, -1), Code::NewConfigNoQuorum, "before who asks is looked at");
    assert_eq!(ask(&mut bench, 6), Code::BadVersion);
    if let Some(context) = &mut bench.reconfig {
        context.configurations.see(&membership(&[1, 2, 3], &[], 9));
    }
    assert_eq!(ask(&mut bench, 6), Code::ReconfigInProgress);
    bench.reconfig = None;
    assert_eq!(ask(&mut bench, 6), Code::Unimplemented, "standalone");
    bench.session = AskingSession::Unknown;
    assert_eq!(ask(&mut bench, 6), Code::SessionExpired);
    bench.settings.reconfig_enabled = false;
    assert_eq!(ask(&mut bench, 6), Code::ReconfigDisabled);
}

#[test]
fn groups_are_only_replaced_as_a_whole() {
    let grouped = "server.1=h1:1:2;3\nserver.2=h2:1:2;3\ngroup.1=1\ngroup.2=2";
    let mut bench = leading(true);
    assert_eq!(bench.reconfig("", "", grouped), Code::Ok);
    let shown = crate::config::Membership::of_peer(bench.shown().as_bytes()).expect("good");
    if let Some(context) = &mut bench.reconfig {
        context.configurations = crate::config::Configurations::of(shown.into());
    }
    assert_eq!(bench.reconfig("server.5=h5:2888:3888;2181", "", ""), Code::BadArguments);
}
