#![no_main]
//! No configuration file, whatever is in it, does more than be refused.

use libfuzzer_sys::fuzz_target;
use ringkeeper_core::config::{Config, Defines, Raw, Sources};

fuzz_target!(|bytes: &[u8]| {
    let Ok(raw) = Raw::parse(bytes) else { return };
    let defines = Defines::default();
    let sources = Sources { file: "zoo.cfg", raw: &raw, dynamic: None, next: None, defines: &defines, my_id: None };
    // A configuration that is refused is as good as one that is not.
    let _ = Config::prove(&sources);
});
