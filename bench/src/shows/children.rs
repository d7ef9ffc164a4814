//! Very many children of one znode: created, listed, deleted, and what somebody else notices meanwhile.

use std::time::Instant;

use anyhow::Result;

use super::bystander::Bystander;
use super::{Part, Show};
use crate::engine::{Engine, Errors, Pacing, Queue, Work, ZooKeeper};
use crate::load::{self, Load, Operation, Shape};
use crate::paths::Paths;
use crate::server::{Server, Subject};
use crate::session::Session;
use crate::wire::Request;

pub(super) fn show(show: &mut Show, subject: Subject) -> Result<()> {
    let count = show.settings.children;
    let (server, _folder) = show.start(subject, 2 * count.div_ceil(1_000_000), "")?;
    load::populate(server.addr(), OTHERS, 1, DATA_LEN)?;
    load::create_parent(server.addr(), PARENT)?;

    let shape = Shape { connections: 16, outstanding: 32 };
    let (operation, paths) = (Operation::Create, Paths::flat(PARENT));
    let creates = Load { operation, shape, paths: paths.clone(), children: count, data_len: DATA_LEN };
    phase(show, subject, &server, "created", |server| load::ask(server.addr(), &creates, count.into()))?;
    phase(show, subject, &server, "listed", |server| {
        let mut session = Session::open(server.addr())?;
        let names = session.children(PARENT)?.len();
        anyhow::ensure!(names == count as usize, "{names} of {count} children are listed");
        session.close()
    })?;
    phase(show, subject, &server, "deleted", |server| {
        let deletes = Deletes { request: Request::delete(&paths), next: 0 };
        let pacing = Pacing::Closed { outstanding: shape.outstanding };
        let limits = (Errors::End, count.into());
        let mut engine = Engine::start(&[server.addr()], shape.connections, pacing, deletes, 1, limits)?;
        engine.go_on_until(u64::MAX, count.into())?;
        engine.finish().map(drop)
    })?;
    server.stop()
}

/// Does something to all children while somebody else reads.
fn phase(
    show: &mut Show,
    subject: Subject,
    server: &Server,
    what: &str,
    act: impl FnOnce(&Server) -> Result<()>,
) -> Result<()> {
    let bystander = Bystander::start(server.addr(), OTHERS, DATA_LEN)?;
    let begun = Instant::now();
    let acted = act(server);
    let took = begun.elapsed();
    let noticed = bystander.end()?;
    acted?;
    let count = show.settings.children;
    let mut found = |figure: &str, value: f64, unit| {
        show.found(Part::Children, subject, format!("{count} children {what}: {figure}"), value, unit);
    };
    found("time", took.as_secs_f64() * 1e3, "ms");
    found("others' p99 meanwhile", noticed.p99_us / 1e3, "ms");
    found("others' longest meanwhile", noticed.max_us / 1e3, "ms");
    Ok(())
}

/// Of one child after the other.
struct Deletes {
    request: Request,
    next: u32,
}

impl Work for Deletes {
    type Link = ZooKeeper;

    fn ask(&mut self, _connection: usize, queue: &mut Queue<'_>) {
        let Deletes { request, next } = self;
        queue.last(0, 0, Some(request.reply_len()), |xid, out| request.append(xid, *next, out));
        self.next += 1;
    }
}

const OTHERS: &str = "/others";
const PARENT: &str = "/parent";
const DATA_LEN: usize = 100;
