use std::sync::mpsc;
use std::time::Duration;

use ringkeeper::election::{ElectionRole, ToElection};
use ringkeeper::net::Protection;
use ringkeeper::runtime::{Clock, Executor, ExecutorOptions, Running, Sender, inbox};
use ringkeeper_core::config::{Defines, Ensemble, Raw, Sources};
use ringkeeper_core::election::{LastLogged, Outcome};
use ringkeeper_core::id::Zxid;
use ringkeeper_kit::ports::Port;

/// The ports of an ensemble's servers, which have the ids from 0.
pub(crate) struct Ports {
    election: Vec<Port>,
    quorum: Vec<Port>,
}

impl Ports {
    pub(crate) fn claim(servers: usize) -> Ports {
        let claim = || (0..servers).map(|_| Port::claim()).collect();
        Ports { election: claim(), quorum: claim() }
    }

    /// The `server.` lines.
    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        let ports = self.quorum.iter().zip(&self.election).enumerate();
        let line = |(id, (quorum, election)): (usize, (&Port, &Port))| {
            (format!("server.{id}"), format!("127.0.0.1:{}:{}", quorum.number(), election.number()))
        };
        ports.map(line).collect()
    }

    /// Where a server listens for elections.
    pub(crate) fn election(&self, id: usize) -> (&'static str, u16) {
        ("127.0.0.1", self.election[id].number())
    }
}

/// A server of which only the election port runs, on an executor and sockets of its own.
pub(crate) struct Member {
    sender: Sender<ToElection>,
    outcomes: mpsc::Receiver<Outcome>,
    executor: Running<()>,
}

impl Member {
    /// Starts server `id`, which has no history.
    pub(crate) fn start(ports: &Ports, id: usize) -> Member {
        let mut text =
            "dataDir=/nowhere\nclientPort=0\ntickTime=2000\ninitLimit=10\nsyncLimit=5\n".to_owned();
        text.extend(ports.lines().into_iter().map(|(key, value)| format!("{key}={value}\n")));
        let raw = Raw::parse(text.as_bytes()).expect("no escapes");
        let (defines, my_id) = (Defines::default(), id.to_string());
        let sources = Sources {
            file: "zoo.cfg",
            raw: &raw,
            dynamic: None,
            next: None,
            defines: &defines,
            my_id: Some(&my_id),
        };
        let (ensemble, _) = Ensemble::prove(&sources).expect("a good configuration").expect("an ensemble");
        let (sender, inbox) = inbox();
        let (told, outcomes) = mpsc::channel();
        let role = ElectionRole {
            ensemble,
            last_logged: LastLogged { epoch: 0, zxid: Zxid::ZERO },
            inbox,
            protection: Protection::default(),
            sender: sender.clone(),
            // A test that has seen enough listens no more.
            decided: Box::new(move |outcome| told.send(outcome).unwrap_or_default()),
            adopted: Box::new(|_| ()),
            auth: None,
            oracle: None,
            clock: Clock::start(),
        };
        let options = ExecutorOptions { name: format!("election {id}"), ..ExecutorOptions::default() };
        let executor = Executor::new(options).start(|| role.run()).expect("an executor");
        Member { sender, outcomes, executor }
    }

    /// The next outcome of an election.
    pub(crate) fn decides(&self) -> Outcome {
        self.outcomes.recv_timeout(PATIENCE).expect("an election ends")
    }

    /// As a server that has lost its leader.
    pub(crate) fn looks_again(&self) {
        self.sender.post(ToElection::Look(LastLogged { epoch: 0, zxid: Zxid::ZERO }));
    }

    pub(crate) fn stop(self) {
        self.sender.post(ToElection::Stop);
        self.executor.join().expect("it ends by itself");
    }
}

/// For events that take a second, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
