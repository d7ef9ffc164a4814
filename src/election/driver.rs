use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringkeeper_core::config::{Configurations, Ensemble, HostPort, Membership};
use ringkeeper_core::election::{Action, ElectionPeer, Electorate, LastLogged, LinkId, Note, Outcome};
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::sasl::QuorumAuth;
use ringkeeper_core::time::Instant;
use tracing::{debug, info, warn};

use super::dial::Dialler;
use super::link::{self, Link, Sent};
use crate::net::PeerStream;
use crate::runtime::{Bell, Clock};

/// Performs what the machine decides. Everything that happens comes through here, one thing at a time.
pub(super) struct Driver {
    peer: RefCell<ElectionPeer>,
    /// What the machine wanted before there was anybody to do it.
    first: Cell<Vec<Action>>,
    links: RefCell<BTreeMap<LinkId, Rc<Link>>>,
    dialler: Dialler,
    me: ServerId,
    configurations: RefCell<Configurations>,
    adopts: bool,
    has_oracle: bool,
    told: Told,
    clock: Clock,
    happened: Bell,
    stopped: Cell<bool>,
}

/// Who is told what was found out.
pub(super) struct Told {
    pub(super) decided: Box<dyn Fn(Outcome)>,
    pub(super) adopted: Box<dyn Fn(Membership)>,
    pub(super) asked: Box<dyn Fn()>,
}

impl Driver {
    pub(super) fn new(
        ensemble: &Ensemble,
        last_logged: LastLogged,
        dialler: Dialler,
        auth: Option<QuorumAuth>,
        told: Told,
        clock: Clock,
    ) -> Driver {
        let mut first = Vec::new();
        let (me, configurations) = (ensemble.my_id, ensemble.configurations.clone());
        let (adopts, has_oracle) = (ensemble.reconfig.is_some(), ensemble.oracle.is_some());
        let mut peer = ElectionPeer::start(
            Electorate::of(me, &configurations, adopts).with_oracle(has_oracle),
            configurations.knowing(me).election_addresses(me),
            addresses(&configurations),
            ensemble.election,
            last_logged,
            clock.now(),
            &mut first,
        );
        if let Some(auth) = auth {
            peer.authenticate_by(auth);
        }
        Driver {
            peer: RefCell::new(peer),
            first: Cell::new(first),
            links: RefCell::default(),
            dialler,
            me,
            configurations: RefCell::new(configurations),
            adopts,
            has_oracle,
            told,
            clock,
            happened: Bell::default(),
            stopped: Cell::new(false),
        }
    }

    /// Does what the machine wanted from the start.
    pub(super) fn begin(self: &Rc<Driver>) {
        self.perform(self.first.take());
    }

    pub(super) fn on_look(self: &Rc<Driver>, last_logged: LastLogged) {
        self.input(|peer, now, out| peer.look(last_logged, now, out));
    }

    /// The configurations are these from now on, unless another server has told of a newer one meanwhile.
    pub(super) fn on_configure(self: &Rc<Driver>, configurations: Configurations) {
        let known = self.configurations.borrow().committed().version();
        if configurations.committed().version() >= known {
            *self.configurations.borrow_mut() = configurations;
            self.reconfigure();
        }
    }

    pub(super) fn on_designated(self: &Rc<Driver>, leader: ServerId, zxid: Zxid) {
        self.input(|peer, now, out| peer.designate(leader, zxid, now, out));
    }

    /// Where this server is to listen.
    pub(super) fn own_addresses(&self) -> Vec<HostPort> {
        self.configurations.borrow().knowing(self.me).election_addresses(self.me)
    }

    fn on_adopt(self: &Rc<Driver>, membership: Membership) {
        let membership = Arc::new(membership);
        if self.configurations.borrow_mut().commit(&membership) {
            info!("the servers are those of configuration {:x}, as others say", membership.version());
            (self.told.adopted)((*membership).clone());
            self.reconfigure();
        }
    }

    fn reconfigure(self: &Rc<Driver>) {
        let configurations = self.configurations.borrow().clone();
        let electorate = Electorate::of(self.me, &configurations, self.adopts).with_oracle(self.has_oracle);
        let advertised = configurations.knowing(self.me).election_addresses(self.me);
        let peers = addresses(&configurations);
        self.input(|peer, now, out| peer.reconfigure(electorate, advertised, peers, now, out));
    }

    pub(super) fn on_avoid(&self, pause: Duration) {
        self.peer.borrow_mut().avoid(pause, self.clock.now());
    }

    pub(super) fn on_oracle(self: &Rc<Driver>, grants: bool) {
        self.input(|peer, now, out| peer.on_oracle(grants, now, out));
    }

    pub(super) fn on_epoch(&self, epoch: i64) {
        self.peer.borrow_mut().on_epoch(epoch);
    }

    pub(super) fn on_accepted(self: &Rc<Driver>, stream: PeerStream) {
        let Some(link) = Link::new(stream) else { return };
        let link = Rc::new(link);
        let (mut out, now) = (Vec::new(), self.clock.now());
        let id = self.peer.borrow_mut().on_accepted(now, &mut out);
        debug!("{} connects to the election port", link.remote);
        self.links.borrow_mut().insert(id, link.clone());
        link::read(self, id, &link);
        self.perform(out);
        self.happened.ring();
    }

    pub(super) fn on_dialled(self: &Rc<Driver>, id: LinkId, stream: Option<PeerStream>) {
        let Some(link) = stream.and_then(Link::new) else { return self.on_closed(id) };
        let link = Rc::new(link);
        self.links.borrow_mut().insert(id, link.clone());
        self.input(|peer, now, out| peer.on_dialled(id, now, out));
        if self.links.borrow().contains_key(&id) {
            link::read(self, id, &link);
        }
    }

    pub(super) fn on_received(self: &Rc<Driver>, id: LinkId, bytes: &[u8]) {
        self.input(|peer, now, out| peer.on_received(id, bytes, now, out));
    }

    /// A connection has ended by itself, or could not be made.
    pub(super) fn on_closed(self: &Rc<Driver>, id: LinkId) {
        self.links.borrow_mut().remove(&id);
        self.input(|peer, now, out| peer.on_closed(id, now, out));
    }

    /// The rest of a message has left.
    pub(super) fn on_written(self: &Rc<Driver>, id: LinkId) {
        self.input(|peer, now, out| peer.on_written(id, now, out));
    }

    /// Does what is due. Whoever calls this looks at the time anew, and is not told that it happened.
    pub(super) fn on_timeout(self: &Rc<Driver>) {
        if self.stopped.get() {
            return;
        }
        let mut out = Vec::new();
        self.peer.borrow_mut().on_timeout(self.clock.now(), &mut out);
        self.perform(out);
    }

    /// How long nothing is to be done if nothing happens; `None` once it is over.
    pub(super) fn time_to_next(&self) -> Option<Duration> {
        let next = self.peer.borrow().next_timeout();
        let wait = next.map_or(NOTHING_TO_DO, |at| at.since(self.clock.now()));
        (!self.stopped.get()).then_some(wait)
    }

    /// Waits until something has happened since the last wait.
    pub(super) async fn something_happened(&self) {
        self.happened.wait().await;
    }

    /// Closes all connections.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.happened.ring();
        for link in std::mem::take(&mut *self.links.borrow_mut()).into_values() {
            link.close();
        }
    }

    fn input(self: &Rc<Driver>, input: impl FnOnce(&mut ElectionPeer, Instant, &mut Vec<Action>)) {
        if self.stopped.get() {
            return;
        }
        let mut out = Vec::new();
        input(&mut self.peer.borrow_mut(), self.clock.now(), &mut out);
        self.perform(out);
        self.happened.ring();
    }

    fn perform(self: &Rc<Driver>, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Dial { link, peer, addresses } => self.dialler.dial(link, peer, addresses),
                Action::Write { link: id, bytes } => {
                    let link = self.links.borrow().get(&id).cloned();
                    let sent = link.map_or(Sent::Broken, |link| link.send(self, id, bytes));
                    let (mut more, now) = (Vec::new(), self.clock.now());
                    match sent {
                        Sent::Whole => self.peer.borrow_mut().on_written(id, now, &mut more),
                        Sent::Later => {}
                        // What was decided before still holds; the reader of the connection sees its end.
                        Sent::Broken => {}
                    }
                    actions.extend(more);
                }
                Action::Close { link } => {
                    if let Some(link) = self.links.borrow_mut().remove(&link) {
                        link.close();
                    }
                }
                Action::Note { link, note } => self.tell(link, &note),
                Action::Adopt(membership) => self.on_adopt(membership),
                Action::AskOracle => (self.told.asked)(),
                Action::Decided(outcome) => (self.told.decided)(outcome),
            }
        }
    }

    fn tell(&self, link: LinkId, note: &Note) {
        let links = self.links.borrow();
        let remote = links.get(&link).map(|link| format!(" ({})", link.remote)).unwrap_or_default();
        match note.is_warning() {
            true => warn!("{note}{remote}"),
            false => info!("{note}{remote}"),
        }
    }
}

/// Where each server listens for elections.
fn addresses(configurations: &Configurations) -> Vec<(ServerId, Vec<HostPort>)> {
    configurations.servers().map(|id| (id, configurations.knowing(id).election_addresses(id))).collect()
}

/// How long to sleep when only an event can change anything.
const NOTHING_TO_DO: Duration = Duration::from_secs(60);
