#![no_main]
//! No configuration file, whatever is in it, does more than be refused.

use libfuzzer_sys::fuzz_target;
use ringkeeper_core::config::{Config, Raw};

fuzz_target!(|bytes: &[u8]| {
    // A configuration that is refused is as good as one that is not.
    let _ = Config::prove(&Raw::from_file("zoo.cfg", bytes), None);
});
