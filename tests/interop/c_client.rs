//! The C client, through a program of every operation of its interface.

use std::path::Path;
use std::process::Command;

use ringkeeper_kit::deps;
use ringkeeper_kit::server::Server;

use crate::golden::assert_same_transcript;
use crate::{scratch_dir, source};

#[test]
fn the_c_client_sees_of_every_operation_what_it_sees_with_java() {
    let program = scratch_dir().join("every_op");
    compile(&source("c_client/every_op.c"), &program);
    assert_same_transcript(
        "c_client_every_op.txt",
        |settings| settings.property("zookeeper.extendedTypesEnabled", true),
        |server| ["work", "resume"].map(|part| transcript(&program, server, part)).concat(),
    );
}

fn transcript(program: &Path, server: &Server, part: &str) -> String {
    let run = Command::new(program)
        .args([&server.addr().to_string(), part])
        .arg(server.dir().join("session"))
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let transcript = String::from_utf8(run.stdout).expect("every_op prints text");
    assert!(
        run.status.success(),
        "every_op {part} ended with {} after\n{transcript}{}",
        run.status,
        String::from_utf8_lossy(&run.stderr)
    );
    transcript
}

fn compile(program: &Path, to: &Path) {
    deps::packaged("/usr/include/zookeeper/zookeeper.h");
    let run = Command::new("gcc")
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([to, program])
        .args(["-lzookeeper_mt", "-pthread"])
        .output()
        .expect("gcc, which tests/setup installs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
