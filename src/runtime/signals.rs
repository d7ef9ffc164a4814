use std::io;
use std::sync::mpsc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tracing::{info, warn};

/// What an operator says with SIGTERM and SIGINT: the first asks for a clean stop, the second, of either
/// kind, ends the process at once, by that signal.
///
/// The second is for a stop that takes too long, as a last snapshot of a large tree may on a slow disk.
/// Nothing acknowledged is lost by it: the log has everything.
pub struct StopRequests(mpsc::Receiver<i32>);

impl StopRequests {
    /// Listens from now on. A first signal waits until somebody asks for it.
    pub fn listen() -> io::Result<StopRequests> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let (first, requests) = mpsc::channel();
        thread::Builder::new().name("signals".into()).spawn(move || {
            let mut signals = signals.forever();
            // If nobody waits for it any more, the process is ending anyway.
            let _ = signals.next().map(|signal| first.send(signal));
            if let Some(signal) = signals.next() {
                end_by(signal);
            }
        })?;
        Ok(StopRequests(requests))
    }

    /// Waits for the first signal.
    pub fn wait(&self) {
        if let Ok(signal) = self.0.recv() {
            info!("signal {signal}: stopping; a second one ends this at once, without a last snapshot");
        }
    }
}

fn end_by(signal: i32) {
    warn!(
        "signal {signal} again: ending at once, without a last snapshot. The log has everything, and the next start \
         replays it; a Java server must not be started on this folder before that"
    );
    // It can only fail for a number that is no signal.
    let _ = emulate_default_handler(signal);
}
