//! Many watches: what each one holds, and how long a herd of sessions that watch one znode takes to hear.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{OPEN_WITHIN, Part, Show, resident};
use crate::engine::now;
use crate::fleet::{Fleet, Told, What};
use crate::large_tree::{self, TREE, tree};
use crate::latency::Recorder;
use crate::server::Subject;
use crate::wire;

pub(super) fn show(show: &mut Show, subject: Subject) -> Result<()> {
    let (watches, herd) = (show.settings.watches, show.settings.sessions as usize);
    let millions = 2 * watches.div_ceil(1_000_000);
    let (server, _folder) = show.start(subject, millions, "")?;
    large_tree::load(&server, watches, &[b'd'; 100])?;
    let probe = server.probe()?;
    let clients = (watches / WATCHES_EACH) as usize;
    let (mut fleet, of_watches) = Fleet::open(&[server.addr()], clients, OPEN_WITHIN)?;
    let before = resident(&probe)?;
    let paths = tree();
    for round in 0..WATCHES_EACH {
        for index in 0..clients {
            let path = paths.path(index as u32 * WATCHES_EACH + round);
            fleet.ask(index, |xid, out| wire::append_exists(xid, &path, true, out))?;
        }
        // A part of them at a time, so that all stay below any buffer.
        if (round + 1) % ROUNDS_AT_ONCE == 0 || round + 1 == WATCHES_EACH {
            let asked = round % ROUNDS_AT_ONCE + 1;
            fleet.replies(clients * asked as usize)?;
        }
    }
    let count = clients as u32 * WATCHES_EACH;
    let each = (resident(&probe)? - before) / f64::from(count);
    show.found(PART, subject, format!("{count} watches on as many znodes: memory each"), each, "bytes");
    drop(fleet);

    let (mut fleet, of_herd) = Fleet::open(&[server.addr()], herd, OPEN_WITHIN)?;
    let turned_away = of_watches.turned_away + of_herd.turned_away;
    show.found(
        PART,
        subject,
        "sessions that watch: refused or reset when opened",
        turned_away as f64,
        "times",
    );
    for index in 0..herd {
        fleet.ask(index, |xid, out| wire::append_get(xid, TREE, true, out))?;
    }
    fleet.replies(herd)?;
    let begun = now();
    fleet.ask(0, |xid, out| out.extend(wire::set_request(xid, TREE, b"")))?;
    let (mut heard, mut events, mut written) = (Recorder::new(), 0, None);
    while events < herd || written.is_none() {
        for Told { at, what, .. } in fleet.listen(Duration::from_millis(100))? {
            match what {
                What::Event => {
                    heard.record(at - begun);
                    events += 1;
                }
                What::Reply(0, _) => written = Some(at - begun),
                What::Reply(code, _) => bail!("the write got ZooKeeper's error {code}"),
            }
        }
        if now() > begun + WITHIN.as_nanos() as u64 {
            bail!("{events} of {herd} watches fired");
        }
    }
    let mut found =
        |what: &str, ms: f64| show.found(PART, subject, format!("herd of {herd}: {what}"), ms, "ms");
    found("until the write is acknowledged", written.unwrap_or(0) as f64 / 1e6);
    found("until half have heard", heard.quantile_us(0.5) / 1e3);
    found("until the last has heard", heard.quantile_us(1.0) / 1e3);
    drop(fleet);
    server.stop()
}

const PART: Part = Part::Watches;
const WATCHES_EACH: u32 = 1000;
const ROUNDS_AT_ONCE: u32 = 20;
const WITHIN: Duration = Duration::from_secs(120);
